"""How often one may try, which codes still count, and for how long a broken seal is good."""

from datetime import datetime, timedelta
from enum import StrEnum

TRIES_BEFORE_WAITING = 3
TRIES_BEFORE_LOCK = 10
FIRST_WAIT = timedelta(seconds=30)
STEP_SECONDS = 30
STEPS_OF_TOLERANCE = 1
LONGEST_OPENING = timedelta(hours=4)


class Purpose(StrEnum):
    """封筒を何の事務のために開けたか — what for; it stands in the audit record."""

    DISASTER_RESPONSE = "disaster-response"
    COUNTER_SERVICE = "counter-service"
    RECOVERY = "recovery"
    DRILL = "drill"

    @property
    def text(self) -> str:
        """In the words of the town hall."""
        return _TEXTS[self]


_TEXTS = {
    Purpose.DISASTER_RESPONSE: "災害対応",
    Purpose.COUNTER_SERVICE: "窓口業務の継続",
    Purpose.RECOVERY: "システムの復旧",
    Purpose.DRILL: "訓練・点検",
}


def wait_after(tries: int) -> timedelta | None:
    """How long nobody may try again after ``tries`` in a row; None: until somebody unlocks it.

    30 seconds after the third, doubled with each further one. Counted are tries, not failures: each is counted before
    anything is compared, so that twenty at once are twenty.
    """
    if tries >= TRIES_BEFORE_LOCK:
        return None
    if tries < TRIES_BEFORE_WAITING:
        return timedelta(0)
    return FIRST_WAIT * (1 << (tries - TRIES_BEFORE_WAITING))


def step_of(at: datetime) -> int:
    """The time step of a moment (RFC 6238, section 4.2)."""
    return int(at.timestamp()) // STEP_SECONDS


def steps_around(at: datetime) -> range:
    """The steps whose codes are taken: this one, the one before and the one after (RFC 6238, section 5.2)."""
    now = step_of(at)
    return range(now - STEPS_OF_TOLERANCE, now + STEPS_OF_TOLERANCE + 1)

"""Places where a test may kill the process, to prove that nothing is lost or done twice.

``TOWN_FAILPOINT=after-produce-before-mark:kill`` ends the process with SIGKILL when it gets there. In production the
setting is ignored: each service calls :func:`forbid` there, and any ``TOWN_*ENVIRONMENT=production`` forbids it too.
"""

import os
import signal

SETTING = "TOWN_FAILPOINT"
_forbidden = False


def forbid() -> None:
    """Ignore the setting from now on, whatever it says."""
    global _forbidden
    _forbidden = True


def failpoint(name: str) -> None:
    """Die here when a test asked for it; otherwise do nothing."""
    if os.environ.get(SETTING) == f"{name}:kill" and not _forbidden and not _in_production():
        os.kill(os.getpid(), signal.SIGKILL)


def _in_production() -> bool:
    return any(
        name.startswith("TOWN_") and name.endswith("ENVIRONMENT") and value == "production"
        for name, value in os.environ.items()
    )

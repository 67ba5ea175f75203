"""What a count can find, and which fault it belongs to."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What can be wrong. ``repeated`` is not: one id told again after a kill, which the other side drops."""

    LOST = "lost"
    DUPLICATED = "duplicated"
    OUT_OF_ORDER = "out_of_order"
    REPEATED = "repeated"
    STUCK = "stuck"
    AUDIT_GAP = "audit_gap"
    PHANTOM = "phantom"
    ALTERED = "altered"
    UNRESOLVED = "unresolved"


WRONG = frozenset(Kind) - {Kind.REPEATED}
WHOLE_RUN = 0


@dataclass(frozen=True)
class Finding:
    """One thing found.

    Attributes:
        kind: of what.
        flow: number of the application; 0 for what belongs to the whole run.
        what: where it was seen, in words.
    """

    kind: Kind
    flow: int
    what: str


def tally(findings: Iterable[Finding]) -> dict[str, int]:
    """How many of each kind; every kind is named."""
    found = Counter(finding.kind for finding in findings)
    return {kind.value: found[kind] for kind in Kind}


def in_order(sequences: Sequence[int]) -> bool:
    """Whether each sequence was told before the next one; a repeat of what was told is in order."""
    done = 0
    for sequence in sequences:
        if sequence > done + 1:
            return False
        done = max(done, sequence)
    return True

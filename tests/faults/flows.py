"""One application of the load (流れ): what the client was promised, against what is found somewhere."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from tests.faults.findings import Finding, Kind
from tests.faults.ledger import Operation, Outcome

from town_notifications.templates import kinds

STATES = {
    "submit": "submitted",
    "withdraw": "withdrawn",
    "accept": "accepted",
    "decide": "approved",
    "complete": "completed",
}
TOLD = {state: f"application.{state}" for state in STATES.values() if kinds()[f"application.{state}"].notify}
OUTSIDE_REACHED = "hanako"  # whose device and mail address are registered


@dataclass
class Flow:
    """One application: what the client was promised, and what is there.

    Attributes:
        number: of the flow.
        operations: in the order in which they were asked.
        ids: of the rows that carry its text; more than one is one too many.
        references: of these rows.
    """

    number: int
    operations: list[Operation]
    ids: list[UUID] = field(default_factory=list)
    references: list[str] = field(default_factory=list)

    @property
    def states(self) -> list[str]:
        """The states the client was promised, in order."""
        return [STATES[one.kind] for one in self.operations if one.outcome is Outcome.ACKED]

    @property
    def open_state(self) -> str | None:
        """The state that may be there or not, because the last operation has no definite answer."""
        last = self.operations[-1]
        return STATES[last.kind] if last.outcome is Outcome.UNKNOWN else None


def compare(
    flow: Flow, wanted: Sequence[str], seen: Sequence[str], where: str, perhaps: str | None = None
) -> Iterator[Finding]:
    """What is missing, what is there twice, what nobody asked for, and whether the order is right."""
    expected, actual = Counter(wanted), Counter(seen)
    for name in expected.keys() | actual.keys():
        missing, extra = expected[name] - actual[name], actual[name] - expected[name]
        if missing > 0:
            yield Finding(Kind.LOST, flow.number, f"{name} in {where}")
        if extra > 0 and expected[name]:
            yield Finding(Kind.DUPLICATED, flow.number, f"{name} {actual[name]} times in {where}")
        elif extra > 0 and name != perhaps:
            yield Finding(Kind.PHANTOM, flow.number, f"{name} in {where}")
    once = list(dict.fromkeys(name for name in seen if name in expected))
    if once != [name for name in wanted if name in actual]:
        yield Finding(Kind.OUT_OF_ORDER, flow.number, f"{', '.join(once)} in {where}")

"""The report: a table for people, one object a line for machines."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table
from tests.faults.findings import WHOLE_RUN, WRONG, Finding, tally
from tests.faults.ledger import Book, Operation, Outcome
from tests.faults.windows import Window

STEADY = "load"
FAILED = "FAILED"
COUNTERS = ("lost", "duplicated", "out_of_order", "repeated", "stuck", "audit_gap")
OTHERS = ("phantom", "altered", "unresolved")


@dataclass
class Row:
    """One fault of one transport.

    Attributes:
        name: ``F3.kafka``.
        title: in words.
        windows: one for each injection.
        operations: sent while the fault was the last one injected.
        findings: of their applications.
        skipped: why it was not run, or not to its end.
    """

    name: str
    title: str
    windows: list[Window] = field(default_factory=list)
    operations: list[Operation] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    skipped: str = ""

    @property
    def acknowledged(self) -> int:
        """Operations the client was promised."""
        return sum(one.outcome is Outcome.ACKED for one in self.operations)

    @property
    def wrong(self) -> bool:
        """Whether any counter that must be 0 is not, or what was to be done could not be."""
        late = any(window.late for window in self.windows)
        return self.skipped.startswith(FAILED) or late or any(finding.kind in WRONG for finding in self.findings)

    def share(self, of: str) -> float:
        """The share of the operations sent during an injection and its recovery that failed, or had no answer."""
        felt = [o for o in self.operations if any(w.began <= o.sent < w.until for w in self.windows)]
        return sum(getattr(one, of) > 0 for one in felt) / len(felt) if felt else 0.0

    def worst(self, of: str) -> float | None:
        """The longest of a time over the injections; None where one never came."""
        times = [getattr(window, of) for window in self.windows]
        return max(times) if times and None not in times else None

    def counters(self) -> dict[str, int]:
        """All counters."""
        return tally(self.findings)

    def json(self) -> str:
        """One line."""
        counted = self.counters()
        known = {name: counted[name] for name in (*COUNTERS, *OTHERS)}
        times = {name: self.worst(name) for name in ("first_success", "normal", "delivered")}
        felt = {name: round(seconds, 2) for name, seconds in times.items() if seconds is not None}
        late = [window.late for window in self.windows if window.late]
        said = {"skipped": self.skipped, "late": "; ".join(late)}
        told = {name: words for name, words in said.items() if words}
        return json.dumps({"name": self.name, "acknowledged": self.acknowledged, **known, **felt, **told})


def rows(
    transport: str,
    titles: Mapping[str, str],
    windows: Sequence[Window],
    skipped: Mapping[str, str],
    book: Book,
    findings: Sequence[Finding],
) -> list[Row]:
    """The rows of one transport: what was sent belongs to the fault injected last before its answer."""
    found = {name: Row(f"{name}.{transport}", title) for name, title in titles.items()}
    steady = found.setdefault(STEADY, Row(f"{STEADY}.{transport}", "steady load"))
    for name, reason in skipped.items():
        found[name].skipped = reason
    for window in windows:
        found[window.fault].windows.append(window)
    of_flow = {WHOLE_RUN: steady}
    for operation in book.operations.values():
        at = operation.ended or operation.sent
        before = [window for window in windows if window.began <= at]
        row = found[max(before, key=lambda window: window.began).fault] if before else steady
        row.operations.append(operation)
        of_flow[operation.flow] = row
    for finding in findings:
        of_flow[finding.flow].findings.append(finding)
    return list(found.values())


def total(of: Sequence[Row]) -> Row:
    """All rows in one."""
    return Row(
        "total",
        "everything",
        operations=[operation for row in of for operation in row.operations],
        findings=[finding for row in of for finding in row.findings],
    )


def table(of: Sequence[Row]) -> Table:
    """The table for people."""
    made = Table(title="Faults")
    notes = ["first answer, p99 normal: the longest of all injections, in seconds after it was over"]
    for heading in ("fault", "", "times", "first answer", "p99 normal", "errors", "unknown", "acked"):
        made.add_column(heading, justify="left" if heading in ("fault", "") else "right", no_wrap=heading == "")
    for heading in (*COUNTERS, "other"):
        made.add_column(heading.replace("_", " "), justify="right")
    for row in of:
        if row.skipped:
            made.add_row(row.name, row.title, style="red" if row.wrong else "yellow")
            notes.append(f"{row.name} NOT RUN: {row.skipped}")
            continue
        counted = row.counters()
        notes += [f"{row.name}: {window.late}" for window in row.windows if window.late]
        notes += [
            f"{row.name}: everything in the log again after {window.delivered:.1f} s"
            for window in row.windows
            if window.delivered is not None
        ]
        made.add_row(
            row.name,
            row.title,
            str(len(row.windows) or "–"),
            _seconds(row.worst("first_success"), row),
            _seconds(row.worst("normal"), row),
            f"{row.share('failed'):.1%}",
            f"{row.share('unknown'):.1%}",
            str(row.acknowledged),
            *(str(counted[name]) for name in COUNTERS),
            str(sum(counted[name] for name in OTHERS)),
            style="red" if row.wrong else None,
        )
    made.caption = "\n".join(notes)
    return made


def _seconds(value: float | None, row: Row) -> str:
    if not row.windows:
        return "–"
    return f"{value:.1f}" if value is not None else "not yet"


def details(of: Sequence[Row], most: int = 20) -> Iterator[str]:
    """What was found, in words; the first of each fault."""
    for row in of:
        wrong = [finding for finding in row.findings if finding.kind in WRONG]
        for finding in wrong[:most]:
            yield f"{row.name}: {finding.kind} {f'application {finding.flow} ' if finding.flow else ''}{finding.what}"
        if len(wrong) > most:
            yield f"{row.name}: and {len(wrong) - most} more"


def show(of: Sequence[Row]) -> None:
    """Print the table."""
    Console(width=240).print(table(of))

"""Reading the 番号紐付 file: every line is judged, and a bad one is named by its number, never by its content."""

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time

from town_identity.jpki import Purpose, TrustAnchors
from town_identity.number_links.profile import NumberLinkProfile
from town_kit.clock import JST
from town_kit.problems import FieldError, ValidationFailed

_ADDRESSEE_NUMBER = re.compile(r"[0-9A-Za-z]{1,15}\Z")
_SERIAL = re.compile(r"[0-9A-Fa-f]{1,40}\Z")


@dataclass(frozen=True, slots=True)
class LinkRow:
    """One line: this certificate (issuer by SHA-256, serial) belongs to that 宛名番号."""

    line: int
    addressee_number: str
    issuer: str
    generation: str
    purpose: Purpose
    serial: int
    valid_from: datetime
    valid_until: datetime


@dataclass(frozen=True, slots=True)
class LineError:
    """A line that cannot be used: its number in the file and a stable code."""

    line: int
    code: str


def read_rows(
    content: bytes, profile: NumberLinkProfile, anchors: TrustAnchors
) -> tuple[list[LinkRow], list[LineError]]:
    """The usable lines, and what is wrong with the others.

    Raises:
        ValidationFailed: this is not such a file at all (encoding, header).
    """
    try:
        lines = csv.DictReader(io.StringIO(content.decode(profile.encoding.value), newline=""), strict=True)
        wanted = {column.header for column in (getattr(profile.columns, n) for n in type(profile.columns).model_fields)}
        if not wanted <= set(lines.fieldnames or ()):
            raise ValueError("header")  # noqa: TRY301 - one answer for all that is not such a file
        records = [(lines.line_num, record) for record in lines]
    except (UnicodeDecodeError, csv.Error, ValueError):
        raise ValidationFailed(
            "番号紐付ファイルとして読めません。文字コードと見出しの行を確認してください。",
            errors=[FieldError("", "layout", "ファイルの形式が設定と合いません。")],
        ) from None
    rows: list[LinkRow] = []
    errors: list[LineError] = []
    for line, record in records:
        read = _row(line, record, profile, anchors)
        if isinstance(read, LinkRow):
            rows.append(read)
        else:
            errors.append(read)
    return rows, errors + _contradictions(rows)


def _row(
    line: int, record: dict[str, str | None], profile: NumberLinkProfile, anchors: TrustAnchors
) -> LinkRow | LineError:
    columns = profile.columns

    def value(name: str) -> str:
        return (record.get(getattr(columns, name).header) or "").strip()

    purpose = profile.purposes.get(value("purpose"))
    if not _ADDRESSEE_NUMBER.match(value("addressee_number")):
        return LineError(line, "addressee-number")
    if not _SERIAL.match(value("serial")) or not (serial := int(value("serial"), 16)):
        return LineError(line, "serial")
    if purpose is None:
        return LineError(line, "purpose")
    issuers = [a for a in anchors.all if (a.purpose, a.generation) == (purpose.meaning, value("generation"))]
    if len(issuers) != 1:
        return LineError(line, "generation")
    try:
        begins, ends = _day(value("valid_from")), _day(value("valid_until"))
    except ValueError:
        return LineError(line, "validity")
    return LinkRow(
        line,
        value("addressee_number"),
        issuers[0].fingerprint,
        issuers[0].generation,
        purpose.meaning,
        serial,
        datetime.combine(begins, time.min, JST).astimezone(UTC),
        datetime.combine(ends, time.max.replace(microsecond=0), JST).astimezone(UTC),
    )


def _contradictions(rows: list[LinkRow]) -> list[LineError]:
    """One certificate under two numbers: neither line is used."""
    owners: dict[tuple[str, int], set[str]] = {}
    for row in rows:
        owners.setdefault((row.issuer, row.serial), set()).add(row.addressee_number)
    contradicting = [row for row in rows if len(owners[row.issuer, row.serial]) > 1]
    rows[:] = [row for row in rows if len(owners[row.issuer, row.serial]) == 1]
    return [LineError(row.line, "two-numbers") for row in contradicting]


def _day(text: str) -> date:
    return date.fromisoformat(text) if "-" in text else datetime.strptime(text, "%Y%m%d").date()  # noqa: DTZ007 - a day


def first_of_each(rows: Sequence[LinkRow]) -> list[LinkRow]:
    """The rows without repetitions of the same certificate."""
    return list({(row.issuer, row.serial): row for row in rows}.values())

"""After a restore: no number is given twice, no record handed over twice, and lost answers are asked for again."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from town_kit.restoring import Lists, Missing, Restoring, Skip
from town_standardization.records import Record, acknowledge

Name = tuple[str, str, int]
POSITIONS_LEFT_OUT = 1_000_000
"""A core system goes on from the last position it saw; one that is given again would be passed over."""
NUMBERS_LEFT_OUT = 1_000
"""宛名番号 the core systems may know already as somebody else's."""

_SEQUENCE = """SELECT setval('{name}', last_value + {count}) || ' の次から付番する' FROM {name}"""
_POSITIONS = f"""SELECT setval(pg_get_serial_sequence('records', 'position'),
  coalesce(max(position), 0) + {POSITIONS_LEFT_OUT}) || ' の次から渡す' FROM records"""  # noqa: S608 - a constant
_RECOGNISE = text(
    """INSERT INTO taken_before_restore (business_id, key, history_number, acknowledged_at)
       VALUES (:business, :key, :number, :at) ON CONFLICT DO NOTHING RETURNING key"""
)


def _name(entry: Mapping[str, Any]) -> Name:
    return str(entry["business_id"]), str(entry["key"]), int(str(entry["history_number"]))


async def _known(session: AsyncSession, names: Iterable[Name]) -> dict[Name, Record]:
    columns = tuple_(Record.business_id, Record.key, Record.history_number)
    rows = (await session.execute(select(Record).where(columns.in_(list(names))))).scalars()
    return {(row.business_id, row.key, row.history_number): row for row in rows}


async def _withdrawn(session: AsyncSession, names: Iterable[Name]) -> set[tuple[str, str]]:
    """Business and key of what was withdrawn: a decision on it is refused, so none has to come again."""
    columns = tuple_(Record.business_id, Record.key)
    query = select(Record.business_id, Record.key).where(Record.withdrawn, columns.in_([name[:2] for name in names]))
    return {(row.business_id, row.key) for row in await session.execute(query)}


async def recognise(session: AsyncSession, lists: Lists) -> int:
    """Take down which records the core systems have; answers how many of them had not been acknowledged here."""
    given = {_name(entry): datetime.fromisoformat(str(entry["acknowledged_at"])) for entry in lists.get("records", ())}
    known = await _known(session, given)
    noted = 0
    for name, at in given.items():
        business, key, number = name
        if name in known:
            noted += await acknowledge(session, business, [(key, number)], at=at)
        else:
            values = {"business": business, "key": key, "number": number, "at": at}
            noted += len((await session.execute(_RECOGNISE, values)).all())
    return noted


async def missing(session: AsyncSession, lists: Lists) -> list[Missing]:
    """Records a core system has and nobody here knows, and decisions that have to be handed in again."""
    entries = {_name(entry): bool(entry["decided"]) for entry in lists.get("records", ())}
    known = await _known(session, entries)
    withdrawn = await _withdrawn(session, entries)
    found = []
    for name, decided in entries.items():
        outside = "{} {} 履歴番号 {}".format(*name)
        if name not in known:
            told = "基幹業務システムにある記録が町にありません。取り直しが済んでも残れば、失われた申請の記録です。"
            found.append(Missing("record", outside, told))
        elif decided and known[name].decision is None and name[:2] not in withdrawn:
            told = "基幹業務システムの決定が町に届いていません。業者に結果の再送を依頼してください。"
            found.append(Missing("decision", outside, told))
    return found


RESTORING = Restoring(
    skips=(
        Skip("標準レコードの位置", _POSITIONS),
        Skip("宛名番号", _SEQUENCE.format(name="addressee_numbers", count=NUMBERS_LEFT_OUT)),
        Skip("団体内統合宛名番号", _SEQUENCE.format(name="integrated_numbers", count=NUMBERS_LEFT_OUT)),
    ),
    recognise=recognise,
    missing=missing,
)

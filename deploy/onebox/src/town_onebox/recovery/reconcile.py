"""Comparing a restored town with the outside (復元後の照合): nothing is done twice, and what is missing has a name.

The first comparison comes before the first start: what the outside already has is taken down, and every event that is
kept goes out again, which costs nothing where it was done. Later ones only look, as often as wanted.
"""

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import text

from town_kit.audit.record import audit_row, insert
from town_kit.clock import SystemClock
from town_kit.db import Database, server
from town_kit.messaging.consumer import driver_of
from town_kit.messaging.relay import replay
from town_kit.restoring import Lists, Missing
from town_onebox import secrets
from town_onebox.place import Place
from town_onebox.recovery import before_start, report, state
from town_onebox.recovery.backup import NotPossible, Tell, running
from town_onebox.recovery.state import Restored
from town_onebox.registry import Entry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_HEAD = text("SELECT coalesce(max(seq), 0) FROM audit_chain")


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a comparison found.

    Attributes:
        at: when.
        restored: of which restore.
        recognised: service → how much of it the outside had and the town did not know of.
        replayed: events that go out again; none after the first comparison.
        missing: what the outside has and the town does not, or has otherwise.
        audit_lost: service → audit records that were anchored outside and are gone.
    """

    at: datetime
    restored: Restored
    recognised: dict[str, int]
    replayed: int
    missing: tuple[Missing, ...]
    audit_lost: dict[str, int]


def reconcile(directory: Path, lists: Lists, tell: Tell) -> Comparison:
    """Compare the restored town in ``directory`` with lists of the outside, and write a report into it.

    Raises:
        NotPossible: there is no town, or it was never restored.
    """
    place = Place(directory.resolve())
    restored = state.of(place)
    if restored is None:
        raise NotPossible(f"{directory} は控えから戻した町ではありません。照合は restore のあとに行います。")
    for name, entries in lists.items():
        tell(f"外の記録 {name}: {len(entries)} 件")
    with running(place) as port:
        found = asyncio.run(_compare(place, port, lists, restored))
    if restored.reconciled_at is None:
        state.write(place, found.restored)
    path = report.write(place, found)
    tell(report.text(found))
    tell(f"報告書: {path}")
    return found


async def _compare(place: Place, port: int, lists: Lists, restored: Restored) -> Comparison:
    first = restored.reconciled_at is None
    now = SystemClock().now()
    recognised: dict[str, int] = {}
    missing: list[Missing] = []
    lost: dict[str, int] = {}
    replayed = 0
    for entry in await before_start.here(place, port):
        async with _database(place, port, entry) as database:
            async with database.begin() as session:
                if entry.restoring.recognise is not None:
                    recognised[entry.name] = await entry.restoring.recognise(session, lists)
                if first:
                    replayed += await replay(await driver_of(session))
                    await insert(session, [_audit_row(now)])
            async with database.begin() as session:
                if entry.restoring.missing is not None:
                    missing += await entry.restoring.missing(session, lists)
                anchored = max((int(h["seq"]) for h in lists.get("heads", ()) if h["service"] == entry.name), default=0)
                lost[entry.name] = max(anchored - int((await session.execute(_HEAD)).scalar_one()), 0)
    if not first:  # the chain has grown over the gap since; what was lost stands in the first report
        lost = {}
    restored = restored if not first else replace(restored, reconciled_at=now)
    return Comparison(now, restored, recognised, replayed, tuple(missing), {k: v for k, v in lost.items() if v})


@asynccontextmanager
async def _database(place: Place, port: int, entry: Entry) -> "AsyncIterator[Database]":
    passwords = secrets.read_vault(place).databases if entry.vault else secrets.read(place).databases
    dsn = server.dsn(server.HOST, port, f"{entry.name}_app", passwords[entry.name].app, entry.name)
    async with Database(server.sqlalchemy_url(dsn), application="reconcile").running() as database:
        yield database


def _audit_row(now: datetime) -> dict[str, object]:
    return audit_row(
        action="town.restored",
        basis="個人情報保護法66条",
        purpose="控えからの復旧",
        principal=None,
        subjects=(),
        fields=(),
        result="done",
        at=now,
        trace_id=None,
    )


def as_json(found: Comparison) -> str:
    """A comparison for programs."""
    return json.dumps(asdict(found), ensure_ascii=False, default=str)

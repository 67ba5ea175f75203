"""One poller for each core system; what it took, decided and answered stands in ``core_system.jsonl``.

Kinds of entries: ``record`` · ``record_repeated`` (same key, 履歴番号 and content) · ``record_conflict`` (other content
under the same key and 履歴番号) · ``withdrawn`` (a record that says so: its application is decided no more) ·
``acknowledged`` · ``decided`` · ``result_posted`` · ``result_refused`` (withdrawn or replaced meanwhile) ·
``csv_file`` · ``town_away``.
A fault ``pause`` makes the pollers skip ``count`` rounds.
"""

import asyncio
import csv
import hashlib
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from town_kit.clock import Clock, SystemClock, japan_date
from town_sandbox.configuration import Config, CoreSystemConfig, Place
from town_sandbox.core_system.deciding import decide
from town_sandbox.core_system.linkage import DataLinkage, TownAway
from town_sandbox.counterpart import Counterpart, counterpart
from town_sandbox.faults import Faults
from town_sandbox.ledger import Entry, Ledger
from town_sandbox.mynaportal.package import canonical_json

RecordKey = tuple[str, int]
OVERTAKEN = frozenset({"application-withdrawn", "record-superseded"})
"""Problems by which the town says that a result comes too late."""


class CoreSystem:
    """One vendor's system for one business; its memory is the ledger, so a restart goes on where it was."""

    def __init__(self, business_id: str, linkage: DataLinkage, ledger: Ledger, clock: Clock) -> None:
        self.business_id = business_id
        self._linkage = linkage
        self._ledger = ledger
        self._clock = clock
        self._records: dict[RecordKey, Entry] = {}
        self._acknowledged: set[RecordKey] = set()
        self._results: dict[RecordKey, dict[str, Any]] = {}
        self._posted: set[RecordKey] = set()
        self._refused: set[RecordKey] = set()
        self._withdrawn: set[str] = set()
        self._files: set[str] = set()
        self._cursor: str | None = None
        self._away = ""
        for entry in ledger.entries:
            if entry.get("business_id") == business_id:
                self._restore(entry)

    def _restore(self, entry: Entry) -> None:
        match entry["kind"]:
            case "record":
                self._records[_key(entry)] = entry
            case "acknowledged":
                self._acknowledged.add(_key(entry))
                self._cursor = entry.get("cursor") or self._cursor
            case "decided":
                self._results[_key(entry)] = entry["result"]
            case "result_posted":
                self._posted.add(_key(entry))
            case "result_refused":
                self._refused.add(_key(entry))
            case "withdrawn":
                self._withdrawn.add(entry["key"])
            case "csv_file":
                self._files.add(entry["name"])

    async def round(self, config: Config, paused: Callable[[], bool] = lambda: False) -> None:
        """Files, then pages until none is left, then the results that were not yet taken; ends early when paused."""
        mine = config.core_systems[self.business_id]
        await self._take_files(mine)
        try:
            while not paused() and await self._take_page(config):
                pass
            if mine.decides:
                await self._answer(config, paused)
            self._away = ""
        except TownAway as away:
            if str(away) != self._away:  # once per kind of trouble, not once per poll
                await self._note("town_away", reason=str(away))
            self._away = str(away)

    async def _take_page(self, config: Config) -> bool:
        page = await self._linkage.pull(config, self._cursor)
        moved = page.cursor is not None and page.cursor != self._cursor
        for record in page.records:
            await self._take_record(record)
        if page.records:
            await self._linkage.acknowledge(config, list(page.records))
            for record in page.records:
                if _key(record) not in self._acknowledged:
                    self._restore(await self._note("acknowledged", **_named(record), cursor=page.cursor))
        self._cursor = page.cursor or self._cursor
        return bool(page.records) and moved

    async def _take_record(self, record: Mapping[str, Any]) -> None:
        digest = hashlib.sha256(canonical_json(record)).hexdigest()
        known = self._records.get(_key(record))
        if known is None:
            self._restore(await self._note("record", **_named(record), sha256=digest, record=record))
            if record.get("withdrawn"):
                self._restore(await self._note("withdrawn", **_named(record)))
        else:
            same = known["sha256"] == digest
            await self._note("record_repeated" if same else "record_conflict", **_named(record), sha256=digest)

    def answer_again(self) -> None:
        """Hand every result in once more at the next round, as a vendor does when the town asks for it."""
        self._posted.clear()

    async def _answer(self, config: Config, paused: Callable[[], bool]) -> None:
        refused: TownAway | None = None
        newest = dict(sorted(self._records))  # key → its last 履歴番号, which is the one that is decided
        for key, entry in list(self._records.items()):
            if paused():
                break
            if key in self._posted | self._refused or key[0] in self._withdrawn or newest[key[0]] != key[1]:
                continue
            if key not in self._results:
                today = japan_date(self._clock.now())
                result = decide(self.business_id, *key, entry["record"]["record"], today)
                self._restore(await self._note("decided", key=key[0], history_number=key[1], result=result))
            try:
                await self._linkage.post_result(config, self._results[key])
            except TownAway as away:
                if away.problem in OVERTAKEN:  # what says why comes with the next pull
                    self._restore(await self._note("result_refused", key=key[0], history_number=key[1]))
                    continue
                if away.status != 404:
                    raise
                refused = away  # a record the town lost with a disk: the others must not wait for it
                continue
            self._restore(await self._note("result_posted", key=key[0], history_number=key[1]))
        if refused is not None:
            raise refused

    async def _take_files(self, mine: CoreSystemConfig) -> None:
        if mine.drop_folder is None:
            return
        for marker in sorted(await asyncio.to_thread(_markers, mine.drop_folder, mine.marker_suffix)):
            name = marker.name.removesuffix(mine.marker_suffix)
            if name not in self._files and (mine.drop_folder / name).is_file():
                raw = await asyncio.to_thread((mine.drop_folder / name).read_bytes)
                rows = sum(1 for _ in csv.reader(io.StringIO(raw.decode("utf-8-sig", errors="replace"))))
                digest = hashlib.sha256(raw).hexdigest()
                self._restore(await self._note("csv_file", name=name, lines=rows, sha256=digest))

    async def _note(self, kind: str, **fields: Any) -> Entry:
        return await self._ledger.append(kind, business_id=self.business_id, **fields)


def _markers(folder: Path, suffix: str) -> list[Path]:
    return list(folder.glob(f"*{suffix}")) if folder.is_dir() else []


def _key(named: Mapping[str, Any]) -> RecordKey:
    return str(named["key"]), int(named["history_number"])


def _named(record: Mapping[str, Any]) -> dict[str, Any]:
    key, history_number = _key(record)
    return {"key": key, "history_number": history_number}


def create(place: Place, clock: Clock | None = None) -> Counterpart:
    """All core systems of ``config.json``, polling as long as the sandbox runs."""
    time = clock or SystemClock()
    ledger = Ledger(place.directory / "core_system.jsonl", time)
    faults = Faults({"pause"})
    systems: dict[str, CoreSystem] = {}

    def known() -> list[CoreSystem]:
        for business_id in sorted(set(place.config.core_systems) - set(systems)):
            linkage = DataLinkage(business_id, place.credentials.core_systems[business_id], time)
            systems[business_id] = CoreSystem(business_id, linkage, ledger, time)
        return [systems[business_id] for business_id in sorted(place.config.core_systems)]

    async def one_round(paused: Callable[[], bool] = lambda: False) -> None:
        for system in known():
            await system.round(place.config, paused)

    async def poll() -> None:
        while True:
            if not faults.take({"pause"}):
                await one_round(lambda: faults.is_on("pause"))
            await asyncio.sleep(place.config.poll_seconds)

    async def poll_now(_request: Request) -> Response:
        """A round at once, for tests that do not want to wait."""
        await one_round()
        return JSONResponse({"entries": len(ledger.entries)})

    async def results_again(_request: Request) -> Response:
        """Hand all results in once more: what the town asks its vendors for after a restore."""
        for system in known():
            system.answer_again()
        return Response(status_code=202)

    routes = [Route("/poll", poll_now, methods=["POST"]), Route("/results-again", results_again, methods=["POST"])]
    return counterpart("core_system", routes, ledger, faults, background=[poll])

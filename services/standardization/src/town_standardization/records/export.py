"""ファイル連携: records as files in an agreed folder, each with an empty file beside it that says it is complete."""

import asyncio
import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from town_kit.ids import new_id
from town_kit.service import exclusive
from town_standardization.adapters import Adapter, Group, csv_file
from town_standardization.ports import Ports
from town_standardization.records import repository
from town_standardization.records.models import Record, RecordExport

log = structlog.get_logger(__name__)
BATCH = 500
KEY_COLUMNS = ("shikuchosonkodo", "key", "rirekibango", "sosanengappi_jikoku")


async def export_files(ports: Ports) -> int:
    """Write what stands in no file yet, for every business with a folder; how many records were written."""
    done = 0
    if ports.drop_folder is None:
        return done
    for adapter in ports.adapters:
        folder = ports.drop_folder / adapter.business_id
        if await asyncio.to_thread(folder.is_dir):
            done += await _export(ports, adapter, folder)
    return done


async def _export(ports: Ports, adapter: Adapter, folder: Path) -> int:
    """Names first, then files, then the mark: a crash in between writes the same files again."""
    async with ports.database.begin() as session:
        run = await _begin(session, adapter.business_id, ports.clock.now())
        if run is None:
            return 0
        records = await _records(session, run.id)
        serial, begun_at, run_id = run.serial, run.begun_at, run.id
    for group in adapter.groups:
        flag = adapter.file.withdrawal_column
        rows = [row for record in records for row in _rows(record, group, ports.municipality_code, flag)]
        raw = csv_file(adapter.file, _columns(group, flag), rows)
        name = adapter.file.file_name(
            municipality=ports.municipality_code, group=group.list or "main", at=begun_at, serial=serial
        )
        await asyncio.to_thread(_put, folder, name, raw, adapter.file.completion_suffix)
    async with ports.database.begin() as session:
        written = (await session.execute(select(RecordExport).where(RecordExport.id == run_id))).scalar_one()
        written.written_at = ports.clock.now()
    log.info("files_written", business_id=adapter.business_id, records=len(records))
    return len(records)


async def _begin(session: AsyncSession, business_id: str, at: datetime) -> RecordExport | None:
    """The run that was begun and not finished, else a new one over what waits; null when there is nothing."""
    if not await exclusive(session, f"record-export {business_id}"):
        return None
    unfinished = select(RecordExport).where(RecordExport.business_id == business_id, RecordExport.written_at.is_(None))
    run = (await session.execute(unfinished.order_by(RecordExport.serial).limit(1))).scalar_one_or_none()
    if run is not None:
        return run
    waiting = await repository.unexported(session, business_id, BATCH)
    if not waiting:
        return None
    last = select(func.coalesce(func.max(RecordExport.serial), 0)).where(RecordExport.business_id == business_id)
    serial = (await session.execute(last)).scalar_one()
    run = RecordExport(id=new_id(), business_id=business_id, serial=serial + 1, begun_at=at)
    session.add(run)
    await session.flush()
    for record in waiting:
        record.export_id = run.id
    return run


async def _records(session: AsyncSession, run_id: UUID) -> Sequence[Record]:
    await session.flush()
    query = select(Record).where(Record.export_id == run_id).order_by(Record.position)
    return (await session.execute(query)).scalars().all()


def _rows(record: Record, group: Group, municipality_code: str, flag: str) -> list[dict[str, Any]]:
    at = record.operated_at.isoformat()
    named = dict(zip(KEY_COLUMNS, (municipality_code, record.key, record.history_number, at), strict=True))
    named[flag] = "1" if record.withdrawn else "0"
    found = record.content.get(group.list, []) if group.list else [record.content]
    return [{**named, **{k: v for k, v in row.items() if not isinstance(v, list)}} for row in found]


def _columns(group: Group, flag: str) -> list[str]:
    """The key, the mark of 取下げ, then each item with its 縮退 behind it; the same for every file of a group."""
    columns = [*KEY_COLUMNS, flag]
    for item in group.items:
        columns.append(item.field)
        if item.degraded:
            columns += [f"{item.field}_shukutai", f"{item.field}_shukutai_umu"]
    return columns


def _put(folder: Path, name: str, raw: bytes, suffix: str) -> None:
    """Put a whole file down, synced, and only then its completion marker."""
    fresh = folder / f".{name}.part"
    with fresh.open("wb") as file:
        file.write(raw)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(folder / name)
    (folder / (name + suffix)).touch()

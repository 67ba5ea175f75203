"""After a change of the key encryption key: wrapping the stored keys anew, so that the older key can be destroyed.

What was sealed stays closed: only the small key of each row is unwrapped and wrapped again. Each batch is one
transaction with its audit record; a run that was stopped is simply started again, because a row that is wrapped with
the newest key already is left alone.
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Annotated
from uuid import NAMESPACE_URL, UUID, uuid5

import typer
from rich.console import Console
from sqlalchemy import text

from town_kit.audit import record
from town_kit.auth import Principal, Role
from town_kit.cli import finished, made
from town_kit.service import Service

BATCH = 500
BASIS = "番号法12条"
_FIRST = UUID(int=0)


@dataclass(frozen=True)
class Wrapped:
    """Rows whose column ``wrapped_key`` is to be wrapped anew.

    Attributes:
        table: where they stand; its key is ``id``.
        renew: the row's key under the newest key; None where it is under that already.
        refused: what ``renew`` raises for a row no key held here opens.
        condition: SQL; only these rows.
    """

    table: str
    renew: Callable[[UUID, bytes], bytes | None]
    refused: type[Exception]
    condition: str = "true"


@dataclass(frozen=True)
class Progress:
    """How far a run has come; ``closed`` are rows that no key opened."""

    total: int
    seen: int
    renewed: int
    closed: tuple[UUID, ...]


async def rewrap(service: Service, wrapped: Wrapped, *, batch: int = BATCH) -> AsyncGenerator[Progress, None]:
    """Wrap every row of ``wrapped`` anew, and tell of each batch that was committed."""
    count = f"SELECT count(*) FROM {wrapped.table} WHERE {wrapped.condition}"  # noqa: S608 - from our own code
    choose = text(
        f"SELECT id, wrapped_key FROM {wrapped.table} WHERE {wrapped.condition} AND id > :after"  # noqa: S608 - as above
        " ORDER BY id LIMIT :batch FOR UPDATE"
    )
    change = text(f"UPDATE {wrapped.table} SET wrapped_key = :wrapped_key WHERE id = :id")  # noqa: S608 - as above
    async with service.database.begin() as session:
        total = (await session.execute(text(count))).scalar_one()
    seen, renewed, after = 0, 0, _FIRST
    closed: tuple[UUID, ...] = ()
    while True:
        async with service.database.begin() as session:
            rows = (await session.execute(choose, {"after": after, "batch": batch})).all()
            if not rows:
                return
            anew, failed = _renewed(wrapped, [(row.id, bytes(row.wrapped_key)) for row in rows])
            if anew:
                await session.execute(change, anew)
                await record.insert(session, [_audit_row(service, wrapped, len(anew))])
        after = rows[-1].id
        seen, renewed, closed = seen + len(rows), renewed + len(anew), (*closed, *failed)
        yield Progress(max(total, seen), seen, renewed, closed)


def _renewed(wrapped: Wrapped, rows: list[tuple[UUID, bytes]]) -> tuple[list[dict[str, object]], list[UUID]]:
    anew: list[dict[str, object]] = []
    failed = []
    for row, key in rows:
        try:
            under_newest = wrapped.renew(row, key)
        except wrapped.refused:
            failed.append(row)
            continue
        if under_newest is not None:
            anew.append({"id": row, "wrapped_key": under_newest})
    return anew, failed


def _audit_row(service: Service, wrapped: Wrapped, count: int) -> dict[str, object]:
    name = f"service:{service.name}"
    return record.audit_row(
        action="keys.rewrap",
        basis=BASIS,
        purpose=f"鍵の更新 {wrapped.table} {count}件",
        principal=Principal(uuid5(NAMESPACE_URL, f"urn:town:client:{name}"), Role.SERVICE, name, frozenset()),
        subjects=(),
        fields=("wrapped_key",),
        result="done",
        at=service.clock.now(),
        trace_id=None,
    )


def key_commands(create: Callable[[], Service], wrapped: Callable[[Service], Wrapped]) -> typer.Typer:
    """The commands ``keys …`` of a service that keeps wrapped keys.

    Args:
        create: makes the service from its settings.
        wrapped: what it keeps.
    """
    commands = typer.Typer(no_args_is_help=True, help="保管している鍵")
    out, err = Console(), Console(stderr=True)

    @commands.callback()
    def keys() -> None:
        """保管している鍵"""

    @commands.command("rewrap")
    def rewrap_command(
        batch: Annotated[int, typer.Option(min=1, max=10_000, help="1回の取引で包み直す件数")] = BATCH,
    ) -> None:
        """鍵暗号化鍵を替えたあと、保管している鍵を新しい鍵で包み直す。途中で止めても、もう一度実行すれば続きから進む。"""
        service = made(create)
        done = finished(service, _told(service, wrapped(service), batch, out))
        out.print(f"{done.renewed} 件を包み直しました（全 {done.total} 件）", highlight=False)
        for row in done.closed:
            err.print(f"どの鍵でも開けません: {row}", style="red", highlight=False)
        if done.closed:
            raise typer.Exit(1)

    return commands


async def _told(service: Service, wrapped: Wrapped, batch: int, out: Console) -> Progress:
    done = Progress(0, 0, 0, ())
    async with service.database.running(), aclosing(rewrap(service, wrapped, batch=batch)) as running:
        async for done in running:
            out.print(f"{done.seen} / {done.total}", highlight=False)
    return done

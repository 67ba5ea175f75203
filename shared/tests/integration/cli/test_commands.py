"""The commands of a service, with a service that has nothing of its own."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from town_kit.audit import record
from town_kit.audit.chain import chain_pending
from town_kit.auth import TokenVerifier, key_source
from town_kit.blobs import BlobDamaged, PostgresBlobs, Recipient
from town_kit.cli import service_cli
from town_kit.clock import SystemClock
from town_kit.db import Database
from town_kit.db.provision import DatabaseUrls
from town_kit.housekeeping import forget_answers_job
from town_kit.ids import new_id
from town_kit.messaging.consumer import Consumer, Processing
from town_kit.messaging.event import Envelope, Reader, Received, encode_headers
from town_kit.messaging.transport import Incoming
from town_kit.rewrapping import Wrapped, key_commands
from town_kit.service import Service
from town_kit.settings import ServiceSettings, Zone

SCRIPT = """
from pathlib import Path
from town_kit.auth import TokenVerifier, key_source
from town_kit.cli import service_cli
from town_kit.db import Database
from town_kit.service import Service
from town_kit.settings import ServiceSettings, Zone

settings = ServiceSettings()
service_cli(lambda: Service(
    name="kit", title="試験", zone=Zone.LGWAN, settings=settings, migrations=Path({migrations!r}),
    database=Database(settings.database_url.get_secret_value()),
    verifier=TokenVerifier(issuer="i", source=key_source("/nowhere")),
))()
"""


def settings(urls: DatabaseUrls) -> dict[str, Any]:
    return {"database_url": urls.app_url, "owner_url": urls.owner_url, "issuer": "i", "jwks": "/nowhere"}


@pytest.fixture
def commands(own_urls: DatabaseUrls, kit_migrations: Path) -> Any:
    def create(**changes: Any) -> Service:
        made = ServiceSettings(**{**settings(own_urls), **changes})
        return Service(
            name="kit",
            title="試験",
            zone=Zone.LGWAN,
            settings=made,
            database=Database(own_urls.app_url),
            consumers=(CONSUMER,),
            verifier=TokenVerifier(issuer="i", source=key_source("/nowhere")),
            migrations=kit_migrations,
        )

    def run(*arguments: str, **changes: Any) -> Any:
        return CliRunner().invoke(service_cli(lambda: create(**changes)), arguments)

    run.create = create
    return run


@pytest.mark.parametrize("command", [("republish",), ("replay",), ("dead-letters", "list"), ("audit", "verify")])
def test_a_database_that_is_away_is_told_in_one_sentence(
    commands: Any, own_urls: DatabaseUrls, command: tuple[str, ...]
) -> None:
    async def nothing() -> int:
        async with away.database.begin():
            return 0

    away = commands.create()
    away.database = Database(own_urls.app_url.replace(f":{own_urls.app_url.rsplit(':', 1)[1].split('/')[0]}/", ":1/"))
    away.republish = nothing

    done = CliRunner().invoke(service_cli(lambda: away), list(command))

    assert done.exit_code == 1
    assert "データベースが応答しません" in done.output
    assert "Traceback" not in done.output


def test_check_config_looks_into_the_files_that_secure_the_log(commands: Any, tmp_path: Path) -> None:
    kafka = {"transport": "kafka", "log_urls": {"LGWAN": "127.0.0.1:9"}}
    security = {"protocol": "SASL_SSL", "username": "town", "password_file": str(tmp_path / "password")}

    refused = commands("check-config", **kafka, log_security={"LGWAN": security})
    (tmp_path / "password").write_text("correct-horse")
    done = commands("check-config", **kafka, log_security={"LGWAN": security})

    assert (refused.exit_code, done.exit_code) == (2, 0)
    assert str(tmp_path / "password") in refused.output.replace("\n", "")
    assert "correct-horse" not in done.output


@pytest.mark.case("D-40")
def test_keys_are_wrapped_anew_and_a_second_run_finds_nothing_left(commands: Any, own_urls: DatabaseUrls) -> None:
    old, new = os.urandom(32), os.urandom(32)
    blobs = asyncio.run(write_blobs(own_urls, PostgresBlobs(key=old), 7))

    def run(batch: int) -> Any:
        changing = PostgresBlobs(key=new, older_keys=[old])
        wrapped = Wrapped("blobs", changing.rewrap, BlobDamaged, condition="recipient = 'service'")
        return CliRunner().invoke(key_commands(commands.create, lambda _: wrapped), ["rewrap", "--batch", str(batch)])

    first, again = run(3), run(100)

    assert first.exit_code == 0, first.output
    assert [line for line in first.output.splitlines() if "/" in line] == ["3 / 7", "6 / 7", "7 / 7"]
    assert "7 件を包み直しました" in first.output
    assert "0 件を包み直しました" in again.output
    assert asyncio.run(read_blobs(own_urls, PostgresBlobs(key=new), blobs)) == [b"x"] * 7


def test_a_key_that_opens_nothing_is_told_and_changes_nothing(commands: Any, own_urls: DatabaseUrls) -> None:
    old = os.urandom(32)
    blobs = asyncio.run(write_blobs(own_urls, PostgresBlobs(key=old), 2))
    wrapped = Wrapped("blobs", PostgresBlobs(key=os.urandom(32)).rewrap, BlobDamaged)

    done = CliRunner().invoke(key_commands(commands.create, lambda _: wrapped), ["rewrap"])

    assert done.exit_code == 1
    assert all(str(blob) in done.output for blob in blobs)
    assert asyncio.run(read_blobs(own_urls, PostgresBlobs(key=old), blobs)) == [b"x"] * 2


async def write_blobs(urls: DatabaseUrls, store: PostgresBlobs, count: int) -> list[UUID]:
    async def content() -> AsyncIterator[bytes]:
        yield b"x"

    async with Database(urls.app_url).running() as database, database.begin() as session:
        return [await store.write(session, content(), owner="a", media_type="b", recipient=Recipient.SERVICE)
                for _ in range(count)]  # fmt: skip


async def read_blobs(urls: DatabaseUrls, store: PostgresBlobs, blobs: list[UUID]) -> list[bytes]:
    async with Database(urls.app_url).running() as database, database.begin() as session:
        return [b"".join([p async for p in store.read(session, await store.info(session, blob))]) for blob in blobs]


def write_records(urls: DatabaseUrls, count: int) -> str:
    async def write() -> str:
        async with Database(urls.app_url).running() as database:
            clock = SystemClock()
            rows = [
                record.audit_row(
                    action="a", basis="b", purpose="p", principal=None, subjects=[new_id()], fields=[], result="done",
                    at=clock.now(), trace_id=None,
                )
                for _ in range(count)
            ]  # fmt: skip
            async with database.begin() as session:
                await record.insert(session, rows)
            await chain_pending(database, "kit", clock)
            async with database.begin() as session:
                found = await session.execute(text("SELECT seq, hash FROM audit_chain ORDER BY seq DESC LIMIT 1"))
                head = found.one()
                return f"{head.seq}:{bytes(head.hash).hex()}"

    return asyncio.run(write())


@pytest.mark.runbook("監査記録が疑わしい")
def test_the_audit_trail_is_verified_against_an_anchor(commands: Any, own_urls: DatabaseUrls) -> None:
    head = write_records(own_urls, 3)
    good = commands("audit", "verify", "--anchor", head)
    assert good.exit_code == 0, good.output
    assert "3 件の記録に異常はありません" in good.output
    assert commands("audit", "verify", "--anchor", f"9:{'0' * 64}").exit_code == 1
    assert commands("audit", "verify", "--anchor", "nonsense").exit_code == 2


def test_settings_are_shown_without_their_secrets(commands: Any, own_urls: DatabaseUrls) -> None:
    shown = commands("check-config")
    assert shown.exit_code == 0
    assert "issuer = i" in shown.output
    assert own_urls.app_url not in shown.output
    assert "database_url = (設定済み)" in shown.output


def test_a_wrong_setting_is_named_without_its_value(commands: Any) -> None:
    refused = commands("check-config", municipality_code="secret-value")
    assert refused.exit_code == 2
    assert "municipality_code" in refused.output
    assert "secret-value" not in refused.output


@pytest.mark.runbook("スキーマが古い")
def test_a_schema_is_brought_to_head_and_needs_its_owner(commands: Any) -> None:
    assert "スキーマは 0001 です" in commands("migrate").output
    assert commands("migrate", owner_url=None).exit_code == 2


def test_published_events_go_out_again(commands: Any, own_urls: DatabaseUrls) -> None:
    write_records(own_urls, 1)

    async def publish() -> None:
        async with Database(own_urls.app_url).running() as database, database.begin() as session:
            await session.execute(text("UPDATE outbox SET published_at = now()"))

    asyncio.run(publish())
    assert "0 件のイベント" in commands("replay", "--since", "2999-01-01").output
    assert "0 件のイベント" in commands("replay", "--topic", "other").output
    assert "1 件のイベント" in commands("replay").output


def test_a_service_without_state_has_nothing_to_republish(commands: Any) -> None:
    assert commands("republish").exit_code == 2


class NoteTaken(Reader):
    TYPE: ClassVar[str] = "town.kit.note.taken.v1"
    TOPIC: ClassVar[str] = "kit.notes"

    word: str


broken = True
handled: list[str] = []


async def handle(session: Any, event: Received[NoteTaken]) -> None:
    if broken:
        raise RuntimeError
    handled.append(event.data.word)


CONSUMER = Consumer("kit.notes", "kit", {NoteTaken: handle})


def bury_two(urls: DatabaseUrls) -> None:
    """Two events of two aggregates that cannot be processed."""

    async def process() -> None:
        messages = []
        for word in ("first", "second"):
            key = new_id()
            envelope = Envelope(new_id(), NoteTaken.TYPE, key, 1, SystemClock().now())
            headers = encode_headers(envelope, "urn:test")
            messages.append(
                Incoming(NoteTaken.TOPIC, 0, 0, str(key).encode(), headers, b'{"word": "%s"}' % word.encode())
            )
        async with Database(urls.app_url).running() as database:
            await Processing(database, CONSUMER).process(messages)

    asyncio.run(process())


@pytest.mark.case("D-33")
@pytest.mark.runbook("1 件のイベントが処理できない")
def test_dead_letters_are_listed_tried_again_and_given_up(
    commands: Any, own_urls: DatabaseUrls, monkeypatch: pytest.MonkeyPatch
) -> None:
    handled.clear()
    bury_two(own_urls)
    listed = commands("dead-letters", "list").output.splitlines()
    first, second = (line.split()[0] for line in listed)
    assert "kit.notes" in listed[0]
    assert commands("dead-letters", "retry", first).exit_code == 1
    monkeypatch.setattr(sys.modules[__name__], "broken", False)
    assert commands("dead-letters", "retry", first).exit_code == 0
    assert handled == ["first"]
    assert commands("dead-letters", "discard", second, "--reason", "test").exit_code == 0
    assert commands("dead-letters", "list").output == ""
    assert commands("dead-letters", "discard", second, "--reason", "again").exit_code == 1
    assert handled == ["first"]


def test_stored_answers_are_forgotten_when_their_time_is_over(own_urls: DatabaseUrls) -> None:
    insert = text(
        "INSERT INTO idempotency_keys (scope_hash, fingerprint, status, headers, body, expires_at)"
        " VALUES (:key, '', 200, '{}', '', :at)"
    )

    async def run() -> list[bytes]:
        clock = SystemClock()
        async with Database(own_urls.app_url).running() as database:
            async with database.begin() as session:
                for key, days in ((b"old", -1), (b"young", 1)):
                    await session.execute(insert, {"key": key, "at": clock.now() + timedelta(days=days)})
            assert await forget_answers_job(database, clock).run() == 1
            async with database.begin() as session:
                return [bytes(row[0]) for row in await session.execute(text("SELECT scope_hash FROM idempotency_keys"))]

    assert asyncio.run(run()) == [b"young"]


@pytest.mark.parametrize("socket_file", [False, True])
def test_a_service_serves_until_it_is_told_to_end(
    own_urls: DatabaseUrls, kit_migrations: Path, tmp_path: Path, socket_file: bool
) -> None:
    script = tmp_path / "service.py"
    script.write_text(SCRIPT.format(migrations=str(kit_migrations)))
    path = tmp_path / "kit.sock"
    arguments = ["serve", "--unix", str(path)] if socket_file else ["serve"]
    environment = {**os.environ, **{name.upper(): value for name, value in settings(own_urls).items()}}
    process = subprocess.Popen(
        [sys.executable, str(script), *arguments], env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        told = process.stdout.readline()
        transport = httpx.HTTPTransport(uds=str(path) if socket_file else None, retries=5)
        address = "http://kit" if socket_file else told.split()[-1]
        with httpx.Client(transport=transport, base_url=address, timeout=10, trust_env=False) as client:
            assert client.get("/livez").json() == {"status": "alive"}
            checks = client.get("/readyz").json()["checks"]
        assert checks["database"] == checks["migrations"] == "ok"
        assert not socket_file or path.stat().st_mode & 0o777 == 0o660
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) in {0, -signal.SIGTERM}


def test_a_worker_tells_its_health_while_it_works(own_urls: DatabaseUrls, kit_migrations: Path, tmp_path: Path) -> None:
    script = tmp_path / "service.py"
    script.write_text(SCRIPT.format(migrations=str(kit_migrations)))
    environment = {**os.environ, **{name.upper(): value for name, value in settings(own_urls).items()}}
    command = [sys.executable, str(script), "work", "--health-port", "0"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        address = process.stdout.readline().split()[-1]
        transport = httpx.HTTPTransport(retries=5)
        with httpx.Client(transport=transport, base_url=address, timeout=10, trust_env=False) as client:
            assert client.get("/livez").json() == {"status": "alive"}
            checks = client.get("/readyz").json()["checks"]
        assert checks["database"] == checks["migrations"] == "ok"
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) in {0, -signal.SIGTERM}

"""The commands of a service, with a service that has nothing of its own."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from town_kit.audit import record
from town_kit.audit.chain import chain_pending
from town_kit.auth import TokenVerifier, key_source
from town_kit.cli import service_cli
from town_kit.clock import SystemClock
from town_kit.db import Database
from town_kit.db.provision import DatabaseUrls
from town_kit.ids import new_id
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
            verifier=TokenVerifier(issuer="i", source=key_source("/nowhere")),
            migrations=kit_migrations,
        )

    def run(*arguments: str, **changes: Any) -> Any:
        return CliRunner().invoke(service_cli(lambda: create(**changes)), arguments)

    return run


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


def test_the_audit_trail_is_verified_against_an_anchor(commands: Any, own_urls: DatabaseUrls) -> None:
    head = write_records(own_urls, 3)
    good = commands("audit", "verify", "--anchor", head)
    assert good.exit_code == 0, good.output
    assert "3 records hold" in good.output
    assert commands("audit", "verify", "--anchor", f"9:{'0' * 64}").exit_code == 1
    assert commands("audit", "verify", "--anchor", "nonsense").exit_code == 2


def test_settings_are_shown_without_their_secrets(commands: Any, own_urls: DatabaseUrls) -> None:
    shown = commands("check-config")
    assert shown.exit_code == 0
    assert "issuer = i" in shown.output
    assert own_urls.app_url not in shown.output
    assert "database_url = (set)" in shown.output


def test_a_wrong_setting_is_named_without_its_value(commands: Any) -> None:
    refused = commands("check-config", municipality_code="secret-value")
    assert refused.exit_code == 2
    assert "municipality_code" in refused.output
    assert "secret-value" not in refused.output


def test_a_schema_is_brought_to_head_and_needs_its_owner(commands: Any) -> None:
    assert "kit is at 0001" in commands("migrate").output
    assert commands("migrate", owner_url=None).exit_code == 2


def test_published_events_go_out_again(commands: Any, own_urls: DatabaseUrls) -> None:
    write_records(own_urls, 1)

    async def publish() -> None:
        async with Database(own_urls.app_url).running() as database, database.begin() as session:
            await session.execute(text("UPDATE outbox SET published_at = now()"))

    asyncio.run(publish())
    assert "0 events" in commands("replay", "--since", "2999-01-01").output
    assert "0 events" in commands("replay", "--topic", "other").output
    assert "1 events" in commands("replay").output


def test_a_service_without_state_has_nothing_to_republish(commands: Any) -> None:
    assert commands("republish").exit_code == 2


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

"""The audit trail in a real database: nothing is passed over, nothing changes unseen."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest
import rfc8785
from aiohttp import web
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from town_kit import telemetry
from town_kit.audit import anchor as anchoring
from town_kit.audit import record
from town_kit.audit.anchor import ALARM, AnchorPoster, anchor_age
from town_kit.audit.chain import EVENT_BYTES, batch_event, chain_job, chain_pending, link_hash, microseconds
from town_kit.audit.verify import Head, verify
from town_kit.auth import TokenVerifier, key_source
from town_kit.clock import FixedClock, SystemClock
from town_kit.db import Database
from town_kit.db.provision import DatabaseUrls
from town_kit.ids import new_id
from town_kit.problems import DependencyUnavailable
from town_kit.readiness import checks
from town_kit.service import Service
from town_kit.settings import ServiceSettings, Zone
from town_kit.testing.plans import plans_of

CLOCK = SystemClock()


def row(**changes: Any) -> dict[str, Any]:
    made = record.audit_row(
        action="application.accept", basis="行政手続法7条", purpose="児童手当", principal=None, subjects=[new_id()],
        fields=["state"], result="done", at=CLOCK.now(), trace_id=None,
    )  # fmt: skip
    return made | changes


async def write(database: Database, *rows: dict[str, Any]) -> None:
    async with database.begin() as session:
        await record.insert(session, rows)


async def chain_all(database: Database) -> int:
    total = 0
    while done := await chain_pending(database, "procedures", CLOCK):
        total += done
    return total


async def query(database: Database, statement: str) -> list[Any]:
    async with database.begin() as session:
        return list((await session.execute(text(statement))).all())


@pytest.fixture
async def superuser(own_urls: DatabaseUrls, postgres_server: Any) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(postgres_server.admin_dsn, database=own_urls.name)
    yield connection
    await connection.close()


async def test_a_record_goes_in_with_the_work_and_is_chained_once(own_database: Database) -> None:
    with pytest.raises(OSError, match="late"):
        await _write_and_fail(own_database)
    await write(own_database, *(row() for _ in range(25)))
    assert await chain_all(own_database) == 25
    assert await chain_all(own_database) == 0
    verdict = await verify(own_database)
    assert verdict.holds
    assert verdict.checked == 25


async def _write_and_fail(database: Database) -> None:
    async with database.begin() as session:
        await record.insert(session, [row()])
        raise OSError("late")


async def test_a_record_that_commits_late_is_not_passed_over(own_database: Database) -> None:
    async with own_database.sessions() as slow, slow.begin():
        await slow.execute(text("SELECT set_config('town.role', 'service', true)"))
        await record.insert(slow, [row(at=CLOCK.now() - timedelta(hours=1))])
        await write(own_database, row())
        assert await chain_all(own_database) == 1
    assert await chain_all(own_database) == 1
    assert (await verify(own_database)).checked == 2


async def test_two_chainers_at_once_make_one_chain(own_database: Database, own_urls: DatabaseUrls) -> None:
    other = Database(own_urls.app_url)
    await write(own_database, *(row() for _ in range(300)))
    await asyncio.gather(*(chain_pending(d, "procedures", CLOCK, limit=50) for d in (own_database, other) * 8))
    await chain_all(own_database)
    await other.engine.dispose()
    verdict = await verify(own_database)
    assert verdict.holds
    assert verdict.checked == 300


async def test_a_resident_adds_a_record_and_reads_none(own_database: Database) -> None:
    async with own_database.begin(role="resident", principal=new_id()) as session:
        await record.insert(session, [row()])
        assert (await session.execute(text("SELECT count(*) FROM audit_records"))).scalar_one() == 0
    assert (await query(own_database, "SELECT count(*) FROM audit_records"))[0][0] == 1


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_records SET result = 'x'",
        "DELETE FROM audit_records",
        "DELETE FROM audit_chain",
        "TRUNCATE audit_records",
    ],
)
async def test_the_application_role_changes_no_record(own_database: Database, statement: str) -> None:
    with pytest.raises(DBAPIError, match="permission denied"):
        await query(own_database, statement)


async def test_batches_are_published_with_the_records_and_their_links(own_database: Database) -> None:
    rows = [row(subjects=[new_id() for _ in range(100)]) for _ in range(120)]
    await write(own_database, *rows)
    assert await chain_all(own_database) == 120
    events = await query(own_database, "SELECT topic, key, sequence, type, data FROM outbox ORDER BY seq")
    assert len(events) > 1
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    assert {event.type for event in events} == {"town.procedures.audit-batch.chained.v1"}
    assert all(len(event.data) < EVENT_BYTES + 2_000 for event in events)
    read = [batch_event("procedures").model_validate_json(event.data) for event in events]
    published = [one for event in read for one in event.model_dump(mode="json")["records"]]
    assert [one["seq"] for one in published] == list(range(1, 121))
    assert {one["id"] for one in published} == {str(one["id"]) for one in rows}
    chain = await query(own_database, "SELECT seq, hash, batch FROM audit_chain ORDER BY seq")
    assert [one["hash"] for one in published] == [link.hash.hex() for link in chain]
    bodies = [json.loads(event.data) for event in events]
    assert [body["previous_hash"] for body in bodies][1:] == [body["head_hash"] for body in bodies][:-1]
    assert chain[-1].batch == len(events)
    # whoever has the log alone can check it
    made = bytes(32)
    for body in bodies:
        at = microseconds(datetime.fromisoformat(body["chained_at"]))
        for one in body["records"]:
            form = rfc8785.dumps({name: value for name, value in one.items() if name not in {"seq", "hash"}})
            made = link_hash(made, one["seq"], at, sha256(form).digest())
            assert made.hex() == one["hash"]


async def test_whatever_stands_in_a_record_has_one_form_here_and_in_the_database(own_database: Database) -> None:
    odd = [
        "",
        'a"b',
        "a\\b",
        "".join(map(chr, range(1, 32))),
        "\x7f\x85\u2028\ufeff",
        "𠮷野家 葛\U000e0100",
        "/</script>",
    ]
    await write(own_database, *(row(purpose=text, fields=odd, trace_id=text, subjects=[]) for text in odd))
    assert await chain_all(own_database) == len(odd)
    verdict = await verify(own_database)
    assert (verdict.checked, verdict.holds) == (len(odd), True)


async def test_a_chain_is_read_page_after_page(own_database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    await write(own_database, *(row() for _ in range(24)))
    await chain_all(own_database)
    for size in (1, 5, 8, 24, 25):
        monkeypatch.setattr("town_kit.audit.verify.PAGE", size)
        verdict = await verify(own_database)
        assert (verdict.checked, verdict.holds) == (24, True)


RECORD = "(SELECT record_id FROM audit_chain WHERE seq = {})"
SWAP = """UPDATE audit_chain SET seq = CASE seq WHEN 2 THEN -3 ELSE -2 END WHERE seq IN (2, 3);
UPDATE audit_chain SET seq = -seq WHERE seq < 0"""


@pytest.mark.case("D-41")
@pytest.mark.parametrize(
    ("tampering", "first_bad", "reason"),
    [
        (f"UPDATE audit_records SET result = 'refused' WHERE id = {RECORD.format(5)}", 5, "record-changed"),
        (f"DELETE FROM audit_records WHERE id = {RECORD.format(4)}", 4, "record-missing"),
        ("DELETE FROM audit_chain WHERE seq = 6", 6, "gap"),
        ("DELETE FROM audit_chain WHERE seq > 7", 8, "truncated"),
        (SWAP, 2, "link-changed"),
        ("UPDATE audit_chain SET hash = sha256('x') WHERE seq = 9", 9, "link-changed"),
        # moved forward, it would look as if nothing had been waiting for its anchor
        ("UPDATE audit_chain SET chained_at = chained_at + interval '1 day' WHERE seq >= 8", 8, "link-changed"),
    ],
)
async def test_the_first_record_that_was_tampered_with_is_named(
    own_database: Database, superuser: asyncpg.Connection, tampering: str, first_bad: int, reason: str
) -> None:
    await write(own_database, *(row() for _ in range(10)))
    await chain_all(own_database)
    head = (await query(own_database, "SELECT seq, hash FROM audit_chain ORDER BY seq DESC LIMIT 1"))[0]
    anchor = Head(head.seq, bytes(head.hash))
    assert (await verify(own_database, [anchor])).holds
    await superuser.execute(tampering)
    verdict = await verify(own_database, [anchor])
    assert (verdict.first_bad, verdict.reason) == (first_bad, reason)
    assert not verdict.holds


@pytest.mark.case("D-41")
async def test_a_chain_made_anew_differs_from_its_anchor(own_database: Database, superuser: asyncpg.Connection) -> None:
    await write(own_database, *(row() for _ in range(5)))
    await chain_all(own_database)
    head = (await query(own_database, "SELECT seq, hash FROM audit_chain ORDER BY seq DESC LIMIT 1"))[0]
    await superuser.execute("UPDATE audit_records SET result = 'x'")
    await superuser.execute("INSERT INTO audit_pending SELECT record_id FROM audit_chain; DELETE FROM audit_chain")
    await superuser.execute("DELETE FROM outbox")
    await chain_all(own_database)
    assert (await verify(own_database)).holds
    assert (await verify(own_database, [Head(head.seq, bytes(head.hash))])).reason == "anchor-differs"


async def test_a_record_kept_out_of_the_chain_is_counted(own_database: Database, superuser: asyncpg.Connection) -> None:
    await write(own_database, row(at=datetime(2026, 1, 1, tzinfo=UTC)), row())
    await superuser.execute("DELETE FROM audit_pending")
    verdict = await verify(own_database)
    assert verdict.unchained == 1
    assert not verdict.holds


@pytest.mark.runbook("監査記録の控え先")
async def test_the_head_is_posted_outside_when_it_has_moved(own_database: Database) -> None:
    posted: list[Any] = []
    status = 201

    async def receive(request: web.Request) -> web.Response:
        posted.append(await request.json())
        return web.json_response({}, status=status)

    app = web.Application()
    app.router.add_post("/heads", receive)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    endpoint = f"http://127.0.0.1:{runner.addresses[0][1]}"
    clock = FixedClock("2027-01-04T09:00+09:00")
    poster = AnchorPoster(own_database, "procedures", endpoint, clock)
    await poster.post()
    assert posted == []
    await write(own_database, row())
    await chain_job(own_database, "procedures", clock).run()
    await poster.post()
    await poster.post()
    await AnchorPoster(own_database, "procedures", endpoint, clock).post()
    head = (await query(own_database, "SELECT seq, hash FROM audit_chain"))[0]
    assert posted == [
        {"service": "procedures", "seq": 1, "hash": bytes(head.hash).hex(), "at": clock.now().isoformat()}
    ]
    await write(own_database, row())
    await chain_job(own_database, "procedures", clock).run()
    status = 503
    clock.advance(timedelta(seconds=601))
    with telemetry.recording() as recorded:
        with pytest.raises(DependencyUnavailable):
            await poster.post()
        assert recorded.metric("audit_anchor_age_seconds") == [({"service": "procedures"}, 601)]
    assert await anchor_age(own_database, "procedures", clock.now()) > ALARM
    status = 201
    await poster.post()
    assert await anchor_age(own_database, "procedures", clock.now()) == timedelta(0)
    assert posted[-1]["seq"] == 2
    # a link that just missed a post waits for the next one, and that may take its whole time: still 300 s are kept
    assert poster.job().every + 2 * timedelta(seconds=poster.client.timeout.total) <= timedelta(seconds=300)
    await runner.cleanup()


def test_the_key_of_digests_is_demanded_in_production() -> None:
    required: dict[str, Any] = {"database_url": "postgresql+asyncpg://x", "issuer": "i", "jwks": "j"}
    development = ServiceSettings(**required)
    assert record.digest_key(development) == record.digest_key(development)
    with pytest.raises(RuntimeError, match="DIGEST_KEY is missing"):
        record.digest_key(ServiceSettings(**required, environment="production", audit_anchor="https://anchor.example"))
    with pytest.raises(RuntimeError, match="DIGEST_KEY must be 32 bytes"):
        record.digest_key(ServiceSettings(**required, digest_key="c2hvcnQ="))
    assert isinstance(row()["id"], UUID)


async def test_the_oldest_link_without_an_anchor_is_read_off_the_index(own_database: Database) -> None:
    """Not by comparing every link from the first, which with five million of them takes seconds."""
    async with own_database.begin() as session:
        plans = await plans_of(session, lambda: anchoring._waiting_since(session, "procedures"))
    assert "Index Cond: (seq > " in plans[-1], plans


@pytest.mark.runbook("監査記録の控え先")
async def test_readiness_tells_a_chain_that_was_not_anchored_for_ten_minutes(
    own_database: Database, own_urls: DatabaseUrls, kit_migrations: Path
) -> None:
    clock = FixedClock("2027-01-04T09:00+09:00")
    settings = ServiceSettings(
        database_url=SecretStr(own_urls.app_url), issuer="i", jwks="j", audit_anchor="http://127.0.0.1:9"
    )
    verifier = TokenVerifier(issuer="i", source=key_source("j"))
    service = Service("kit", "kit", Zone.LGWAN, settings, own_database, verifier, kit_migrations, clock=clock)
    await write(own_database, row())
    await chain_job(own_database, "kit", clock).run()
    clock.advance(ALARM)
    await checks(service)["audit_anchor"]()
    clock.advance(timedelta(seconds=1))
    with pytest.raises(RuntimeError, match="anchored"):
        await checks(service)["audit_anchor"]()

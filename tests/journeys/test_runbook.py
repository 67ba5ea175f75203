"""Lines of the runbooks' table, tried on the running town: what is down, what still works, what brings it back."""

import asyncio
import base64
import os
import re
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import httpx
import pytest
from tests.journeys.filing import APPLICATIONS, PATIENCE, application, apply, asking, eventually_told, is_told, read

from town_identity.sealed_staff_accounts.credentials import code_of
from town_kit.clock import SystemClock
from town_kit.testing import eventually
from town_kit.testing.pages import all_items
from town_onebox.journey import people
from town_onebox.registry import ENTRIES
from town_onebox.testing import RunningTown

pytestmark = [pytest.mark.journey, pytest.mark.timeout(420), pytest.mark.xdist_group("journey")]

ROUNDS = 6
CROWD = 40
CROWD_SECONDS = 10  # shorter than a slow body is waited for
FILLING = ["applications", "audit_records", "outbox", "idempotency_keys"]
ROOM = 16 * 1024 * 1024


@asynccontextmanager
async def without_database(town: RunningTown, database: str) -> AsyncIterator[None]:
    """Nobody gets a connection to one database."""
    admin = await town.connect("postgres")
    try:
        await admin.execute(f"ALTER DATABASE {database} ALLOW_CONNECTIONS false")
        await admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", database)
        yield
    finally:
        await admin.execute(f"ALTER DATABASE {database} ALLOW_CONNECTIONS true")
        await admin.close()


@pytest.mark.runbook("イベントログ")
async def test_without_the_event_log_everything_is_taken_and_told_later(running_town: RunningTown) -> None:
    async with asking(running_town) as client:
        resident = await people.resident(running_town.town, client, "taro")
        began = SystemClock().now()
        async with without_database(running_town, "events_internet"):
            clerk = await people.staff(client, "clerk")
            filed = await apply(client, resident)
            seen = await read(client, clerk, filed)
            headers = {**clerk.headers, "If-Match": f'"{seen["version"]}"'}
            accepted = await client.post(f"{APPLICATIONS}/{filed['id']}/accept", headers=headers)
            assert people.told(accepted)["state"] == "accepted"
            waiting = "SELECT count(*) FROM outbox WHERE key = $1 AND published_at IS NULL"
            assert await running_town.rows("procedures", waiting, UUID(filed["id"])) != [0]
            assert not await is_told(client, resident, filed)
        await eventually_told(client, resident, filed)
    again = running_town.command("procedures", "replay", "--since", f"{began:%Y-%m-%dT%H:%M:%SZ}")
    assert again.returncode == 0, again.stderr
    assert "件のイベントを送り直します" in again.stdout


@pytest.mark.runbook("データベース")
async def test_without_the_database_the_open_pages_answer_and_the_rest_says_when(running_town: RunningTown) -> None:
    async with asking(running_town) as client:
        resident = await people.resident(running_town.town, client, "taro")
        (pid_file,) = list(Path(await data_directory(running_town)).glob("postmaster.pid"))
        os.kill(int(pid_file.read_text().split()[0]), signal.SIGKILL)
        refused = []

        async def works_again() -> bool:
            for path in ("/", "/openapi.json", "/reference"):
                assert (await client.get(path)).status_code == 200, path
            answer = await client.get(APPLICATIONS, headers=resident.headers)
            if answer.status_code != 200:
                refused.append((answer.status_code, int(answer.headers["retry-after"]) > 0))
            return answer.status_code == 200

        await eventually(lambda: _failed_once(works_again, refused), within=PATIENCE, every=0)
        assert set(refused) == {(503, True)}

        await eventually(lambda: all_answer(client, resident), within=PATIENCE)
        assert (await client.get("/readyz")).status_code == 200
        await eventually_told(client, resident, await apply(client, resident))


async def all_answer(client: httpx.AsyncClient, resident: people.SignedIn) -> bool:
    """Each service answers from every process: one that lost its connections says so once, and then has new ones."""
    reading = (APPLICATIONS, "/notifications/v1/messages", "/identity/v1/devices")
    answers = [await client.get(path, headers=resident.headers) for path in reading * ROUNDS]
    answers += [await client.post("/identity/v1/login-challenges", json={}) for _ in range(ROUNDS)]
    return all(answer.is_success for answer in answers)


async def _failed_once(works: Any, refused: list[Any]) -> bool:
    return bool(await works() and refused)


async def data_directory(town: RunningTown) -> str:
    (found,) = await town.rows("postgres", "SHOW data_directory")
    return str(found)


@pytest.mark.runbook("notifications")
async def test_without_notifications_applications_are_taken_and_decided_and_told_later(
    running_town: RunningTown,
) -> None:
    async with asking(running_town) as client:
        resident = await people.resident(running_town.town, client, "taro")
        officer = await people.staff(client, "clerk")
        async with without_database(running_town, "notifications"):
            view = await apply(client, resident)
            for verb, body in (("accept", None), ("decide", {"decision": "approved"})):
                headers = {**officer.headers, "If-Match": f'"{view["version"]}"'}
                answer = await client.post(f"{APPLICATIONS}/{view['id']}/{verb}", json=body, headers=headers)
                view = people.told(answer)
            assert (await read(client, resident, view))["state"] == "approved"
            assert (await client.get("/notifications/v1/messages", headers=resident.headers)).status_code == 503
        await eventually_told(client, resident, view)


@pytest.mark.runbook("worker だけ")
async def test_without_the_worker_requests_are_answered_and_the_rest_is_done_later(running_town: RunningTown) -> None:
    async with asking(running_town) as client:
        resident = await people.resident(running_town.town, client, "taro")
        clerk = await people.staff(client, "clerk")
        with running_town.paused("worker"):
            filed = await apply(client, resident)
            seen = await read(client, clerk, filed)
            assert (seen["state"], seen["receipt_number"]) == ("submitted", None)
            assert not await is_told(client, resident, filed)

        async def is_numbered() -> bool:
            return (await read(client, clerk, filed))["receipt_number"] is not None

        await eventually(is_numbered, within=PATIENCE)
        await eventually_told(client, resident, filed)


@pytest.mark.runbook("申請の集中")
async def test_in_a_rush_everything_is_taken_and_background_work_goes_on_after_it(running_town: RunningTown) -> None:
    log = running_town.place.logs / "worker.log"
    before = log.stat().st_size

    def told() -> list[str]:
        return re.findall("work_is_held_back|work_goes_on", log.read_bytes()[before:].decode())

    async with asking(running_town) as client:
        resident = await people.resident(running_town.town, client, "taro")

        async def is_held_back() -> bool:
            await client.get(APPLICATIONS, headers={**resident.headers, "Connection": "close"})  # to either process
            return "work_is_held_back" in told()

        async with crowd(running_town, resident):
            await eventually(is_held_back, within=CROWD_SECONDS, every=0)
            filed = await apply(client, resident)
        await eventually_told(client, resident, filed)
    assert told()[-1] == "work_goes_on"


@asynccontextmanager
async def crowd(town: RunningTown, resident: people.SignedIn) -> AsyncIterator[None]:
    """More callers than a quarter of the slots of two web processes, who have yet to send what they announce."""
    address = urlsplit(town.town.public_url)
    head = (
        f"POST {APPLICATIONS} HTTP/1.1\r\nHost: town\r\nContent-Type: application/json\r\nContent-Length: 100\r\n"
        f"Authorization: {resident.headers['Authorization']}\r\nIdempotency-Key: a-crowd\r\n\r\n"
    )
    writers = []
    try:
        for _ in range(CROWD):
            _, writer = await asyncio.open_connection(address.hostname, address.port)
            writer.write(head.encode())
            writers.append(writer)
        yield
    finally:
        for writer in writers:
            writer.close()


@pytest.mark.runbook("standardization")
async def test_without_the_vault_applications_are_decided_and_numbers_wait_encrypted(running_town: RunningTown) -> None:
    async with asking(running_town) as client:
        resident = await people.resident(running_town.town, client, "taro")
        clerk, approver = await people.staff(client, "clerk"), await people.staff(client, "approver")
        query = "SELECT my_numbers::text FROM applications WHERE id = $1"
        with running_town.paused("vault"):
            filed = await apply(client, resident)
            for who, verb, body in (
                (clerk, "accept", None),
                (approver, "decide", {"decision": "approved"}),
            ):
                seen = await read(client, who, filed)
                headers = {**who.headers, "If-Match": f'"{seen["version"]}"'}
                people.told(await client.post(f"{APPLICATIONS}/{filed['id']}/{verb}", json=body, headers=headers))
            await eventually_told(client, resident, filed)
            assert "eyJ" in (await running_town.rows("procedures", query, UUID(filed["id"])))[0]

        async def is_swapped() -> bool:
            return "eyJ" not in (await running_town.rows("procedures", query, UUID(filed["id"])))[0]

        await eventually(is_swapped, within=PATIENCE)


@pytest.mark.runbook("connector / マイナポータル")
async def test_without_the_portal_the_town_goes_on_and_what_waits_is_listed(running_town: RunningTown) -> None:
    async with asking(running_town) as client:
        resident = await people.resident(running_town.town, client, "taro")
        with running_town.without("mynaportal"):
            await eventually_told(client, resident, await apply(client, resident))
            waiting = running_town.command("connector", "waiting")
            assert waiting.returncode == 0, waiting.stderr
            assert re.search(r"待ち \d+ 件\n\Z", waiting.stdout)


@pytest.mark.runbook("プッシュ・メールの送信先")
async def test_without_push_the_inbox_has_every_message(running_town: RunningTown) -> None:
    async with asking(running_town) as client:
        resident = await people.resident(running_town.town, client, "hanako")
        with running_town.without("fcm"):
            await eventually_told(client, resident, await apply(client, resident))


@pytest.mark.runbook("監査記録が疑わしい")
async def test_a_changed_audit_record_is_named(running_town: RunningTown) -> None:
    good = running_town.command("notifications", "audit", "verify")
    assert good.returncode == 0, good.stdout + good.stderr
    (record,) = await running_town.rows("notifications", "SELECT record_id FROM audit_chain WHERE seq = 2")
    change = "UPDATE audit_records SET purpose = $2 WHERE id = $1 RETURNING 1"
    (purpose,) = await running_town.rows("notifications", "SELECT purpose FROM audit_records WHERE id = $1", record)
    await running_town.rows("notifications", change, record, "x")
    bad = running_town.command("notifications", "audit", "verify")
    await running_town.rows("notifications", change, record, purpose)
    assert bad.returncode == 1
    assert "2 番の記録が壊れています: 記録の内容が変えられています(record-changed)" in bad.stderr


@pytest.mark.runbook("監査記録の控え先")
async def test_every_chain_is_anchored_within_five_minutes_and_work_goes_on_without_the_anchor(
    running_town: RunningTown,
) -> None:
    async with asking(running_town) as client:
        await apply(client, await people.resident(running_town.town, client, "taro"))

    async def each_has_a_head() -> bool:
        """A chain begun just now is posted with the next round, a minute later."""
        posted = {head["service"] for head in running_town.ledger("audit_anchor", "head")}
        begun = {e.name for e in ENTRIES if await running_town.rows(e.name, "SELECT 1 FROM audit_chain LIMIT 1")}
        return bool(begun) and begun <= posted

    await eventually(each_has_a_head, within=90, every=1)
    heads = running_town.ledger("audit_anchor", "head")
    for entry in ENTRIES:
        chain = {
            seq: digest.hex()
            for seq, digest in map(tuple, await running_town.rows(entry.name, "SELECT seq, hash FROM audit_chain"))
        }
        ours = [head["head"] for head in heads if head["service"] == entry.name]
        assert all(chain[head["seq"]] == head["hash"] for head in ours), entry.name
        late = """SELECT count(*) FROM audit_chain c WHERE chained_at < now() - interval '300 seconds' AND seq >
                  (SELECT sequence FROM inbox WHERE consumer = 'audit-anchor')"""
        assert await running_town.rows(entry.name, late) == [0], entry.name
    async with asking(running_town) as client:
        resident = await people.resident(running_town.town, client, "taro")
        with running_town.without("audit_anchor"):
            await eventually_told(client, resident, await apply(client, resident))
            assert (await client.get("/readyz")).json()["checks"]["audit_anchor"] == "ok"


@pytest.mark.runbook("職員認証システム")
async def test_without_the_staff_directory_an_envelope_opens_the_door(running_town: RunningTown) -> None:
    made = running_town.command(
        "identity", "sealed-accounts", "create", "--label", "金庫 1", "--group", "clerk", "--by", "管理 次郎"
    )
    assert made.returncode == 0, made.stderr
    printed = dict(re.findall(r"(ユーザー名|パスワード|認証アプリに登録): (\S+)", made.stdout))
    async with asking(running_town) as client:
        clerk = await people.staff(client, "clerk")
        resident = await people.resident(running_town.town, client, "taro")
        with running_town.without("oidc"):
            with pytest.raises(people.Refused):
                await people.staff(client, "clerk")

            async def opened() -> Any:
                answer = await client.post("/identity/v1/sealed-staff-sessions", json=in_the_envelopes(printed))
                return answer.json() if answer.status_code == 201 else None

            session = await eventually(opened, within=PATIENCE, every=5)
            sealed = people.SignedIn(session["access_token"], session["expires_in"])
            filed = await apply(client, resident)
            seen = await read(client, sealed, filed)
            assert await read(client, clerk, filed) == seen, "who was signed in before stays so"
            headers = {**sealed.headers, "If-Match": f'"{seen["version"]}"'}
            people.told(await client.post(f"{APPLICATIONS}/{filed['id']}/accept", headers=headers))
        who = "SELECT client_id FROM audit_records WHERE action = 'application.accept' AND principal = $1"
        assert await running_town.rows("procedures", who, UUID(session["account_id"])) == ["sealed-staff"]
    username = printed["ユーザー名"]
    reviewed = ("review", session["use_id"], "--by", "総務 三郎", "--note", "窓口の受付のため。問題なし")
    for command in (reviewed, ("reseal", username, "--by", "管理 次郎")):
        done = running_town.command("identity", "sealed-accounts", *command)
        assert done.returncode == 0, done.stderr
    listed = running_town.command("identity", "sealed-accounts", "list").stdout
    assert session["use_id"] not in listed
    assert re.search(rf"{username}  金庫 1  clerk  封印$", listed, re.MULTILINE)


def in_the_envelopes(printed: dict[str, str]) -> dict[str, str]:
    """What a clerk types: the code is what her authenticator shows now."""
    secret = parse_qs(urlsplit(printed["認証アプリに登録"]).query)["secret"][0]
    return {
        "username": printed["ユーザー名"],
        "password": printed["パスワード"],
        "code": code_of(base64.b32decode(secret), SystemClock().now()),
        "purpose": "counter-service",
        "reason": "職員認証が止まり、窓口の受付を続けるため",
    }


@contextmanager
def small_disk(owner: str, size: int) -> Iterator[Path]:
    """A disk of ``size`` bytes that belongs to whoever owns the database."""
    stat = os.stat(owner)
    with tempfile.TemporaryDirectory(prefix="town-disk-", dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        disk = Path(folder) / "disk"
        disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk)], check=True)
        try:
            os.chown(disk, stat.st_uid, stat.st_gid)
            yield disk
        finally:
            subprocess.run(["umount", "-l", str(disk)], check=True)


def fill(ballast: Path) -> None:
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4096)):
            pass


@pytest.mark.runbook("ディスクがいっぱい")
@pytest.mark.skipif(os.geteuid() != 0, reason="a small disk can be mounted by root only")
async def test_on_a_full_disk_nothing_is_half_done_and_a_retry_is_taken_when_there_is_room(
    running_town: RunningTown,
) -> None:
    (size,) = await running_town.rows(
        "procedures", "SELECT sum(pg_total_relation_size(name::regclass))::bigint FROM unnest($1::text[]) name", FILLING
    )
    admin = await running_town.connect("procedures")
    async with asking(running_town) as client:
        resident = await people.resident(running_town.town, client, "taro")
        before = await mine(client, resident)
        with small_disk(await data_directory(running_town), int(size) + ROOM) as disk:
            ballast = disk / "ballast"
            await admin.execute(f"CREATE TABLESPACE small_disk LOCATION '{disk}'")
            try:
                for table in FILLING:
                    await admin.execute(f"ALTER TABLE {table} SET TABLESPACE small_disk")
                fill(ballast)
                acknowledged, headers = set[str](), resident.headers
                while (answer := await client.post(APPLICATIONS, json=application(), headers=headers)).is_success:
                    acknowledged.add(answer.json()["id"])
                    headers = resident.headers
                assert (answer.status_code, int(answer.headers["retry-after"]) > 0) == (503, True)
                assert (await client.get("/procedures/v1/procedures")).status_code == 200
                ballast.unlink()

                async def taken() -> Any:
                    again = await client.post(APPLICATIONS, json=application(), headers=headers)
                    return again.json()["id"] if again.is_success else None

                acknowledged.add(await eventually(taken, within=PATIENCE, every=0.5))
                assert await mine(client, resident) == before | acknowledged
            finally:
                ballast.unlink(missing_ok=True)
                for table in FILLING:
                    await admin.execute(f"ALTER TABLE {table} SET TABLESPACE pg_default")
                await admin.execute("DROP TABLESPACE small_disk")
                await admin.close()


async def mine(client: httpx.AsyncClient, resident: people.SignedIn) -> set[str]:
    """The applications a resident sees, over all pages."""
    return {item["id"] for item in await all_items(client, APPLICATIONS, resident.headers)}

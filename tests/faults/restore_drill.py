"""``make restore-drill``: a backup under load, more load, outside effects; the box burns; restore, relay, reconcile.

What happened is counted from the client's own ledger and from the files of the outside world, before and after the
fire. ``duplicated`` is a second id for one effect, or one id with other content; ``repeated`` is the same id once more,
which the other side drops.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from tests.faults import burning
from tests.faults.burning import ClientLedger
from tests.faults.counting_portal import CODES

from town_onebox import testing
from town_onebox.recovery.manifest import read as read_manifest
from town_onebox.testing import RunningTown

QUIET_SECONDS = 90.0
SERVICES = ("identity", "procedures", "notifications", "connector", "standardization")
BUSINESS = "027"
# Of these nothing may be missing in the end: the portal and the core systems give it again, or we tell it again.
EVERYTHING = (
    "application.portal",
    "notice.mail",
    "notice.push",
    "portal.status",
    "core.record",
    "core.decision",
    "receipt.number",
)
Entry = dict[str, Any]


@dataclass(frozen=True)
class Scale:
    """How many applications, before the backup, while it is taken, and after it."""

    before: int
    during: int
    after: int


@dataclass
class Drill:
    """What is known while the drill goes on."""

    folder: Path
    ledger: ClientLedger = field(default_factory=ClientLedger)
    numbers: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    before_the_fire: list[Entry] = field(default_factory=list)

    @property
    def place(self) -> Path:
        return self.folder / "town"

    @property
    def outside(self) -> Path:
        return self.folder / "outside"

    def entries(self, counterpart: str, *kinds: str) -> list[Entry]:
        """What stands in a ledger of the outside world, from its first day on."""
        path = self.place / "sandbox" / f"{counterpart}.jsonl"
        return [e for e in map(json.loads, path.read_text("utf-8").splitlines()) if e["kind"] in kinds]


@dataclass(frozen=True)
class Outcome:
    """What a drill found: rows of the table, and the report's missing ones by kind."""

    rows: list[dict[str, Any]]
    named: dict[str, set[str]]
    truth: set[str]
    seconds: dict[str, float]


async def run(folder: Path, scale: Scale) -> Outcome:
    """The whole drill, in a folder whose town may burn."""
    drill = Drill(folder)
    burning.prepare(drill.place)
    town = RunningTown(drill.place)
    try:
        await _live(town, drill, scale)
        drill.numbers = await _numbers(town)
        burnt = burning.destroy(town, drill.outside)
    finally:
        town.stop()
    await asyncio.to_thread(_restore, drill)
    town = RunningTown(drill.place)
    try:
        drill.seconds["back"] = time.monotonic() - burnt
        await _settle(town, drill)
        found = await asyncio.to_thread(_reconcile, drill)
        return await _count(town, drill, found)
    finally:
        town.stop()


async def _live(town: RunningTown, drill: Drill, scale: Scale) -> None:
    portal = town.town.sandbox_addresses()["mynaportal"]
    async with httpx.AsyncClient(base_url=town.town.public_url, trust_env=False, timeout=20) as client:
        resident = await burning.sign_in(town, client)

        async def load(count: int) -> None:
            async def apps() -> None:
                for _ in range(count):
                    await burning.file_by_app(client, resident, drill.ledger)

            async def portals() -> None:
                for _ in range(count):
                    await burning.file_at_portal(client, portal, drill.ledger)
                    await asyncio.sleep(0.2)

            await asyncio.gather(apps(), portals())

        await load(scale.before)
        began = time.monotonic()
        backup = asyncio.to_thread(
            burning.command, "backup", "--directory", str(drill.place), "--to", str(drill.folder / "night")
        )
        await asyncio.gather(backup, load(scale.during))
        drill.seconds["backup"] = time.monotonic() - began
        await load(scale.after)
        await testing_until_told(drill, len(drill.ledger.receipts) * 3 // 4)
        await load(2)  # the fire finds some on their way


async def testing_until_told(drill: Drill, receipts: int) -> None:
    """Wait until so many of the portal's applications were decided out there."""
    give_up = time.monotonic() + QUIET_SECONDS
    while time.monotonic() < give_up:
        done = {e["receipt_no"] for e in drill.entries("mynaportal", "status") if e["code"] in {"60", "90"}}
        if len(done) >= receipts:
            return
        await asyncio.sleep(0.2)
    raise TimeoutError("the town did not keep up with the load of the drill")


async def _numbers(town: RunningTown) -> dict[str, str]:
    rows = await town.rows("procedures", "SELECT receipt_number, id FROM applications WHERE receipt_number IS NOT NULL")
    return {number: str(application) for number, application in rows}


def _restore(drill: Drill) -> None:
    began = time.monotonic()
    drill.place.mkdir()
    (drill.outside / "sandbox").rename(drill.place / "sandbox")
    drill.before_the_fire = drill.entries("audit_anchor", "head")
    where = ("--directory", str(drill.place))
    burning.command("restore", "--from", str(drill.folder / "night"), *where)
    drill.seconds["restore"] = time.monotonic() - began
    burning.command("reconcile", *where, "--logs", str(drill.outside / "logs"))
    drill.seconds["reconcile"] = time.monotonic() - began - drill.seconds["restore"]


def _reconcile(drill: Drill) -> dict[str, Any]:
    where = ("--directory", str(drill.place))
    done = burning.command("reconcile", *where, "--logs", str(drill.outside / "logs"), "--json")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


async def _settle(town: RunningTown, drill: Drill) -> None:
    """The portal's applications come again, the vendor hands its results in again, and everything comes to rest."""
    control = town.town.sandbox_addresses()["core_system"]
    async with httpx.AsyncClient(trust_env=False, timeout=20) as client:
        (await client.post(f"{control}/results-again")).raise_for_status()
    states = "SELECT state, count(*)::int FROM applications WHERE channel = 'mynaportal' GROUP BY state"
    waiting = {
        **dict.fromkeys(SERVICES, "SELECT count(*) FROM outbox WHERE published_at IS NULL"),
        "notifications": "SELECT count(*) FROM deliveries WHERE state IN ('queued', 'sending')",
        "connector": "SELECT count(*) FROM portal_statuses WHERE settled_at IS NULL",
    }
    give_up, calm = time.monotonic() + QUIET_SECONDS, 0
    while calm < 5:
        found = await town.rows("procedures", states)
        done = found == [("completed", len(drill.ledger.receipts))]
        still = [name for name, one in waiting.items() if await town.rows(name, one) != [0]]
        calm = calm + 1 if done and not still else 0
        if time.monotonic() > give_up:
            raise TimeoutError(f"the restored town did not come to rest: {found}, {still}")
        await asyncio.sleep(0.3)


async def _count(town: RunningTown, drill: Drill, found: dict[str, Any]) -> Outcome:
    applications = await town.rows("procedures", "SELECT id, reference, receipt_no, receipt_number FROM applications")
    here = {str(row[0]) for row in applications}
    lost = set(drill.ledger.applications) - here
    named = {one["kind"]: set[str]() for one in found["missing"]}
    for one in found["missing"]:
        named[one["kind"]].add(one["name"])
    first = json.loads(min((drill.place / "reports").glob("*.json")).read_text("utf-8"))
    rows = [
        _row("application.app", len(drill.ledger.applications), len(lost), len(named.get("application", set()) & lost)),
        _portal(drill, applications, named),
        await _notices(town, drill, applications, "mail"),
        await _notices(town, drill, applications, "push"),
        _statuses(drill),
        _records(drill, applications),
        _decisions(drill, applications, await _decided(town)),
        _receipts(drill, applications),
        _row("audit.record", None, _unrestored(drill), sum(first["audit_lost"].values())),
    ]
    return Outcome(rows, named, lost, drill.seconds)


def _unrestored(drill: Drill) -> int:
    """Audit records whose place was anchored outside before the fire and that the backup does not hold."""
    held = read_manifest(drill.folder / "night").databases
    links = {name: one.audit.links for name, one in held.items() if one.audit}
    anchored: dict[str, int] = {}
    for head in (entry["head"] for entry in drill.before_the_fire):
        anchored[head["service"]] = max(anchored.get(head["service"], 0), int(head["seq"]))
    return sum(max(seq - links[name], 0) for name, seq in anchored.items())


def _row(
    name: str, acknowledged: int | None, lost: int, named: int | None, duplicated: int = 0, repeated: int = 0
) -> dict[str, Any]:
    return {
        "name": name,
        "acknowledged": acknowledged,
        "lost": lost,
        "named": named,
        "duplicated": duplicated,
        "repeated": repeated,
    }


def _portal(drill: Drill, applications: list[Any], named: dict[str, set[str]]) -> dict[str, Any]:
    times = Counter(row[2] for row in applications if row[2])
    lost = [number for number in drill.ledger.receipts if not times[number]]
    twice = sum(count - 1 for count in times.values())
    return _row(
        "application.portal", len(drill.ledger.receipts), len(lost), len(named.get("portal-application", ())), twice
    )


async def _notices(town: RunningTown, drill: Drill, applications: list[Any], channel: str) -> dict[str, Any]:
    """Ids of what was sent, before and after the fire, against the effects there should be: all of hers are told.

    One effect is one (application, kind) to her address. Of an application that is here, whatever went out must be a
    delivery that is here; of one that is gone, what went out is of the first life only, and is named.
    """
    rows = await town.rows(
        "notifications",
        """SELECT d.id, m.application_id, m.kind, d.state FROM deliveries d JOIN messages m ON m.id = d.message_id
            WHERE d.channel = $1""",
        "email" if channel == "mail" else "push",
    )
    known = {str(row[0]): (row[1], row[2]) for row in rows}
    sent = Counter(_sent_ids(drill, channel))
    missing = [row for row in rows if row[3] == "sent" and not sent[str(row[0])]]
    untold = {str(row[0]) for row in applications} - {str(row[1]) for row in rows}
    effects = Counter(known[one] for one in sent if one in known)
    twice = sum(count - 1 for count in effects.values())
    strangers = [one for one in sent if one not in known]
    gone = {(reference, subject) for reference, subject in _strangers(drill, channel, strangers)}
    twice += len(strangers) - len(gone)
    again = sum(count - 1 for count in sent.values())
    return _row(f"notice.{channel}", len(rows), len(missing) + len(untold), 0, twice, again)


def _sent_ids(drill: Drill, channel: str) -> list[str]:
    if channel == "push":
        return [e["message"]["data"]["delivery_id"] for e in drill.entries("fcm", "message")]
    mails = [e for e in drill.entries("smtp", "message") if "確認" not in e["subject"]]
    return [e["message_id"].strip("<>").partition("@")[0] for e in mails]


def _strangers(drill: Drill, channel: str, ids: list[str]) -> list[tuple[str, str]]:
    """What a notice nobody here knows was about, as the outside sees it."""
    if channel == "push":
        found = {e["message"]["data"]["delivery_id"]: e["message"]["data"] for e in drill.entries("fcm", "message")}
        return [(found[one]["application_id"], found[one]["message_id"]) for one in ids]
    mails = {e["message_id"].strip("<>").partition("@")[0]: e for e in drill.entries("smtp", "message")}
    return [(mails[one]["subject"], mails[one]["text"]) for one in ids]


def _statuses(drill: Drill) -> dict[str, Any]:
    told = drill.entries("mynaportal", "status")
    conflicts = len(drill.entries("mynaportal", "status_conflict"))
    codes = Counter((e["receipt_no"], e["code"]) for e in told)
    twice = sum(count - 1 for count in codes.values())
    wanted = [(receipt, code) for receipt in drill.ledger.receipts for code in CODES]
    lost = sum(one not in codes for one in wanted)
    again = len(drill.entries("mynaportal", "status_repeated"))
    return _row("portal.status", len(wanted), lost, 0, conflicts + twice, again)


def _records(drill: Drill, applications: list[Any]) -> dict[str, Any]:
    """Every key the core systems have is a reference that is here, under one 履歴番号; else one application has two."""
    references = {row[1] for row in applications}
    records = [e for e in drill.entries("core_system", "record") if e["business_id"] == BUSINESS]
    numbers = Counter(e["key"] for e in records)
    twice = sum(count - 1 for count in numbers.values()) + len(set(numbers) - references)
    conflicts = len(drill.entries("core_system", "record_conflict"))
    again = len(drill.entries("core_system", "record_repeated"))
    wanted = {row[1] for row in applications if row[2]}  # everything of the portal is handed over
    return _row("core.record", len(wanted), len(wanted - set(numbers)), 0, twice + conflicts, again)


async def _decided(town: RunningTown) -> set[str]:
    query = "SELECT key FROM records WHERE business_id = $1 AND decision IS NOT NULL"
    return set(await town.rows("standardization", query, BUSINESS))


def _decisions(drill: Drill, applications: list[Any], decided: set[str]) -> dict[str, Any]:
    outside = Counter(e["key"] for e in drill.entries("core_system", "decided"))
    lost = set(outside) - decided
    return _row("core.decision", len(outside), len(lost), 0, sum(count - 1 for count in outside.values()))


def _receipts(drill: Drill, applications: list[Any]) -> dict[str, Any]:
    """A 収受番号 that was given to one application before the fire belongs to no other one after it."""
    now = {row[3]: str(row[0]) for row in applications if row[3]}
    twice = sum(number in drill.numbers and drill.numbers[number] != one for number, one in now.items())
    unnumbered = sum(row[3] is None for row in applications)
    return _row("receipt.number", len(applications), unnumbered, 0, twice)


def verdict(found: Outcome) -> list[str]:
    """What is wrong; nothing, when the drill went well."""
    wrong = [f"{row['name']}: {row['duplicated']} duplicated" for row in found.rows if row["duplicated"]]
    by_name = {row["name"]: row for row in found.rows}
    if by_name["audit.record"]["named"] != by_name["audit.record"]["lost"]:
        wrong.append("audit.record: named is not what is lost")
    if found.named.get("application", set()) != found.truth:
        wrong.append("application.app: named is not what is lost")
    for name in EVERYTHING:
        wrong += [f"{name}: {by_name[name]['lost']} lost"] if by_name[name]["lost"] else []
    unnamed = {kind for kind in ("portal-application", "portal-status", "record", "decision") if found.named.get(kind)}
    return [*wrong, *(f"still open: {kind}" for kind in sorted(unnamed))]


def main() -> int:
    """The drill at its full size; 1 when something was done twice or is missing without a name."""
    with testing.directory() as place:
        found = asyncio.run(run(place.parent, Scale(before=60, during=30, after=40)))
    burning.show("Restore drill", found.rows)
    burning.show("Seconds", [{"name": name, "seconds": round(one, 1)} for name, one in found.seconds.items()])
    wrong = verdict(found)
    for one in wrong:
        print(one, file=sys.stderr)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())

"""A core system pulls, acknowledges and decides each record once, through errors and restarts."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from joserfc import jwt
from joserfc.jwk import OctKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from town_kit.clock import SystemClock
from town_sandbox.configuration import ConfigFile, CoreSystemClient
from town_sandbox.core_system.linkage import DataLinkage
from town_sandbox.core_system.server import CoreSystem
from town_sandbox.ledger import Ledger
from town_sandbox.main import _bound, _Server

CLIENT = CoreSystemClient(client_id="c" * 32, client_secret="s" * 48)
RECORDS = [
    {"key": "A-1", "history_number": 1, "record": {"teate_getsugaku": 25000, "biko": ""}},
    {"key": "A-2", "history_number": 1, "record": {"teate_getsugaku": 10000, "biko": "却下確認用"}},
    {"key": "A-3", "history_number": 2, "record": {"teate_getsugaku": 40000, "biko": ""}},
]


@dataclass
class Town:
    """The town's side of 庁内データ連携 as written down: tokens, pages of two, acknowledgements, results."""

    address: str = ""
    acknowledged: list[tuple[str, int]] = field(default_factory=list)
    results: dict[str, dict[str, Any]] = field(default_factory=dict)
    failing: int = 0
    records_now: list[dict[str, Any]] = field(default_factory=lambda: list(RECORDS))
    refusing: set[str] = field(default_factory=set)
    refusal: str = "application-withdrawn"

    async def token(self, request: Request) -> Response:
        form = await request.form()
        claims = jwt.decode(str(form["client_assertion"]), OctKey.import_key(CLIENT.client_secret), ["HS256"]).claims
        assert claims["aud"] == "https://identity.invalid"
        assert claims["iss"] == claims["sub"] == CLIENT.client_id
        return JSONResponse({"access_token": "t", "expires_in": 300, "scope": form["scope"]})

    async def records(self, request: Request) -> Response:
        assert request.headers["authorization"] == "Bearer t"
        start = int(request.query_params.get("cursor", 0))
        page = self.records_now[start : start + 2]
        return JSONResponse({"records": page, "next_cursor": str(start + len(page))})

    async def acknowledge(self, request: Request) -> Response:
        body = await request.json()
        self.acknowledged += [(a["key"], a["history_number"]) for a in body["acknowledgements"]]
        return Response(status_code=204)

    async def result(self, request: Request) -> Response:
        if self.failing:
            self.failing -= 1
            return Response(status_code=503)
        body = await request.json()
        assert request.headers["idempotency-key"] == body["result_id"]
        if body["key"] in self.refusing:
            problem = {"type": f"urn:town:problem:{self.refusal}"}
            return JSONResponse(problem, 409, media_type="application/problem+json")
        self.results[body["result_id"]] = body
        return Response(status_code=204)


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    town = Town()
    prefix = "/v1/data-linkage/027"
    routes = [
        Route("/v1/oauth/token", town.token, methods=["POST"]),
        Route(f"{prefix}/records", town.records),
        Route(f"{prefix}/acknowledgements", town.acknowledge, methods=["POST"]),
        Route(f"{prefix}/results", town.result, methods=["POST"]),
    ]
    listening = _bound(0)
    town.address = f"http://127.0.0.1:{listening.getsockname()[1]}"
    server = _Server(uvicorn.Config(Starlette(routes=routes), log_config=None, lifespan="off"))
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    yield town
    server.should_exit = True
    await serving


def core_system(folder: Path) -> CoreSystem:
    clock = SystemClock()
    return CoreSystem("027", DataLinkage("027", CLIENT, clock), Ledger(folder / "core.jsonl", clock), clock)


def config_of(town: Town, folder: Path, **core: Any) -> Any:
    path = folder / "config.json"
    scope = "027:child_allowance_applications:Read"
    path.write_text(
        json.dumps(
            {
                "identity_address": town.address,
                "identity_audience": "https://identity.invalid",
                "data_linkage_address": town.address,
                "core_systems": {"027": {"scope": scope} | core},
            }
        )
    )
    return ConfigFile(path).now


async def test_each_record_is_acknowledged_and_decided_once(town: Town, tmp_path: Path) -> None:
    system, config = core_system(tmp_path), config_of(town, tmp_path)
    for _ in range(3):
        await system.round(config)
    assert town.acknowledged == [("A-1", 1), ("A-2", 1), ("A-3", 2)]
    decisions = {r["key"]: (r["decision"], r["amount_yen"]) for r in town.results.values()}
    assert decisions == {"A-1": ("approved", 25000), "A-2": ("rejected", None), "A-3": ("approved", 40000)}


async def test_a_result_the_town_did_not_take_is_posted_again_under_the_same_id(town: Town, tmp_path: Path) -> None:
    town.failing = 1
    system, config = core_system(tmp_path), config_of(town, tmp_path)
    await system.round(config)
    assert town.results == {}
    await core_system(tmp_path).round(config)  # a restarted system goes on from its ledger
    assert sorted(town.results) == ["027-A-1-1", "027-A-2-1", "027-A-3-2"]
    ledger = Ledger(tmp_path / "core.jsonl")
    assert len(ledger.find("decided")) == 3
    assert len(ledger.find("record_repeated")) == 0


async def test_a_pause_ends_a_round_that_has_begun(town: Town, tmp_path: Path) -> None:
    system, config = core_system(tmp_path), config_of(town, tmp_path)
    await system.round(config, lambda: bool(town.acknowledged))  # from the first page on
    assert town.acknowledged == [("A-1", 1), ("A-2", 1)]
    assert town.results == {}
    await system.round(config)
    assert town.acknowledged == [("A-1", 1), ("A-2", 1), ("A-3", 2)]
    assert len(town.results) == 3


WITHDRAWN = {"key": "A-1", "history_number": 2, "withdrawn": True, "record": RECORDS[0]["record"]}


async def test_what_was_withdrawn_is_acknowledged_and_decided_no_more(town: Town, tmp_path: Path) -> None:
    town.records_now.append(WITHDRAWN)
    for _ in range(2):
        await core_system(tmp_path).round(config_of(town, tmp_path))
    assert ("A-1", 2) in town.acknowledged
    assert sorted(result["key"] for result in town.results.values()) == ["A-2", "A-3"]
    assert [entry["key"] for entry in Ledger(tmp_path / "core.jsonl").find("withdrawn")] == ["A-1"]


async def test_a_result_that_crossed_a_withdrawal_is_given_up_and_holds_nobody_up(town: Town, tmp_path: Path) -> None:
    town.refusing.add("A-1")
    await core_system(tmp_path).round(config_of(town, tmp_path))
    assert sorted(result["key"] for result in town.results.values()) == ["A-2", "A-3"]
    town.records_now.append(WITHDRAWN)
    await core_system(tmp_path).round(config_of(town, tmp_path))
    ledger = Ledger(tmp_path / "core.jsonl")
    assert len(ledger.find("result_refused")) == 1
    assert len(ledger.find("town_away")) == 0


async def test_a_result_still_on_its_way_is_posted_again(town: Town, tmp_path: Path) -> None:
    town.refusing, town.refusal = {"A-1"}, "in-progress"
    await core_system(tmp_path).round(config_of(town, tmp_path))
    town.refusing.clear()
    await core_system(tmp_path).round(config_of(town, tmp_path))
    assert sorted(result["key"] for result in town.results.values()) == ["A-1", "A-2", "A-3"]


async def test_only_the_last_history_number_is_decided(town: Town, tmp_path: Path) -> None:
    town.records_now.append({"key": "A-1", "history_number": 2, "withdrawn": False, "record": RECORDS[0]["record"]})
    await core_system(tmp_path).round(config_of(town, tmp_path))
    assert sorted(town.results) == ["027-A-1-2", "027-A-2-1", "027-A-3-2"]


async def test_a_system_that_does_not_decide_only_takes_records_over(town: Town, tmp_path: Path) -> None:
    await core_system(tmp_path).round(config_of(town, tmp_path, decides=False))
    assert len(town.acknowledged) == 3
    assert town.results == {}


async def test_a_file_is_taken_when_its_completion_marker_stands_and_only_once(town: Town, tmp_path: Path) -> None:
    drop = tmp_path / "drop"
    drop.mkdir()
    (drop / "a.csv").write_text('"key"\r\n"A-1"\r\n')
    (drop / "b.csv").write_text('"key"\r\n')
    (drop / "a.csv.done").touch()
    system, config = core_system(tmp_path), config_of(town, tmp_path, drop_folder=str(drop))
    await system.round(config)
    await system.round(config)
    assert [(e["name"], e["lines"]) for e in Ledger(tmp_path / "core.jsonl").find("csv_file")] == [("a.csv", 2)]


async def test_without_a_town_it_waits_and_says_so_once(tmp_path: Path) -> None:
    away = Town(address="http://127.0.0.1:9")
    system, config = core_system(tmp_path), config_of(away, tmp_path)
    await system.round(config)
    await system.round(config)
    assert len(Ledger(tmp_path / "core.jsonl").find("town_away")) == 1

"""What leaves the process: spans of real routes, to a collector where one is set and nowhere else."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx

from town_kit import telemetry
from town_kit.app import create_app
from town_kit.auth import TokenVerifier, key_source
from town_kit.db import Database
from town_kit.routing import TownRouter
from town_kit.service import Service
from town_kit.settings import ServiceSettings, Zone

router = TownRouter(prefix="/v1/things", tags=["試験"])


@router.get("/{thing_id}", scope=None)
async def read_thing(thing_id: int) -> dict[str, int]:
    """試験用の物を読む。"""
    return {"id": thing_id}


def service() -> Service:
    url = "postgresql+asyncpg://nobody@127.0.0.1:9/nothing"
    return Service(
        name="kit",
        title="試験",
        zone=Zone.LGWAN,
        settings=ServiceSettings(database_url=url, issuer="i", jwks="/nowhere"),
        migrations=Path("/nowhere"),
        database=Database(url),
        verifier=TokenVerifier(issuer="i", source=key_source("/nowhere")),
        routers=(router,),
    )


async def test_a_span_is_named_by_the_route_that_answered() -> None:
    transport = httpx.ASGITransport(app=create_app(service()))
    with telemetry.recording() as recorded:
        async with httpx.AsyncClient(transport=transport, base_url="http://kit") as client:
            assert (await client.get("/v1/things/7?q=asked-for")).json() == {"id": 7}
            refused = (await client.get("/v1/123456789018")).json()
            assert (await client.get("/v1/things/7?q=123456789018")).status_code == 422
    route = "GET /v1/things/{thing_id}"
    assert [one.name for one in recorded.spans] == [route, "GET unmatched", route]
    assert refused["trace_id"] == f"{recorded.spans[1].context.trace_id:032x}"
    assert all(asked not in one.to_json() for one in recorded.spans for asked in ("123456789018", "asked-for"))


def test_a_collector_gets_spans_and_metrics_when_one_is_set() -> None:
    received: list[tuple[str, bytes]] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    telemetry.configure("kit", endpoint=f"http://127.0.0.1:{server.server_port}")
    with telemetry.span("work"):
        telemetry.count("deliveries", channel="mail")
    telemetry.shutdown()
    telemetry.configure("kit")
    with telemetry.span("unseen"):
        pass
    telemetry.shutdown()
    server.shutdown()
    server.server_close()
    assert {path for path, _ in received} == {"/v1/traces", "/v1/metrics"}
    assert not any(b"unseen" in body for _, body in received)

"""`gateway`: what standing behind the gateway costs an authenticated ``GET /v1/applications/{id}``.

In process: the web process of one box (the gateway and the services in one process) beside a process of the same kind
that serves the same service without a gateway. Over HTTP: the gateway as a process of its own, as the distributed mode
starts it, beside nginx as a plain proxy, both in front of that same process. Each has one process, the same database
and the same callers; they take many short turns, so that what else the machine does meets all of them.
"""

import json
import shutil
import statistics
from dataclasses import replace
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any

import httpx
from tests.load.box import ready, under_load
from tests.load.lifecycle import sample
from tests.load.measure import Measure
from tests.load.sending import Sender, closed_loop, request

from town_kit.line import Places
from town_kit.rush import Rush
from town_kit.settings import Zone
from town_onebox import processes, vault_user
from town_onebox.assembly import Town
from town_onebox.distributed import become_service
from town_onebox.journey import people
from town_onebox.registry import BY_NAME
from town_onebox.sockets import Ports
from town_onebox.supervisor import Part

WEB_PROCESSES = 1
CALLERS = 12  # too few for a process to call it a rush
TURNS = 20
TURN_SECONDS = 1.0
APPLICATIONS = 30
NGINX = """daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.log;
events {{ worker_connections 1024; }}
http {{
  access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  upstream procedures {{ server {upstream}; keepalive 64; }}
  server {{
    listen {listen};
    location / {{ proxy_pass http://procedures; proxy_http_version 1.1; proxy_set_header Connection ""; }}
  }}
}}
"""


async def run() -> list[Measure]:
    """The measures of this benchmark."""
    if shutil.which("nginx") is None:
        raise RuntimeError("nginx is the reference here and is not installed (Debian: nginx-light)")
    rates = {name: statistics.median(turns) for name, turns in (await under_load(__name__)).items()}
    alone, nginx = rates["service"], rates["nginx"]
    inside, outside = rates["in_process"] / alone, rates["http"] / nginx
    return [
        Measure("gateway.in_process.per_second", rates["in_process"], "requests/s", alone, inside),
        Measure("gateway.in_process.ratio", inside, "of the service alone", 1.0, inside),
        Measure("gateway.http.per_second", rates["http"], "requests/s", nginx, outside),
        Measure("gateway.http.ratio_to_nginx", outside, "of nginx", 1.0, outside),
    ]


def beside(town: Town) -> list[Part]:
    """The service without a gateway, and what stands in front of it over HTTP."""
    ports = Ports(town.place.ports)
    listening = {name: ports.listen(f"bench-{name}", "127.0.0.1", 0) for name in ("procedures", "identity")}
    alone = replace(town, zones=frozenset({Zone.LGWAN}))
    parts = [Part("bench-service", processes.web(alone, listening, {}, Places(), Rush()))]
    services = {name: _url(sockets[0].getsockname()[1]) for name, sockets in listening.items()}
    distributed = replace(town, service_urls={**services, "notifications": town.public_url})
    (socket,) = ports.listen("bench-gateway", "127.0.0.1", 0)
    account, _ = vault_user.account()
    serve = partial(become_service, distributed, BY_NAME["gateway"], "serve", account, socket)
    parts.append(Part("bench-gateway", serve))
    port = ports.reserve("bench-nginx", "127.0.0.1", 0)
    nginx = shutil.which("nginx") or "nginx"
    return [*parts, Part("bench-nginx", command=[nginx, "-c", str(_configuration(town, services, port))])]


def _configuration(town: Town, services: dict[str, str], port: int) -> Path:
    folder = town.place.directory / "nginx"
    folder.mkdir()
    folder.chmod(0o777)  # nginx's worker runs as another user
    file = folder / "nginx.conf"
    upstream = services["procedures"].removeprefix("http://")
    file.write_text(NGINX.format(folder=folder, upstream=upstream, listen=f"127.0.0.1:{port}"))
    return file


def _url(port: int) -> str:
    return f"http://127.0.0.1:{port}"


async def load(town: Town) -> dict[str, list[float]]:
    """Requests a second of each way, one figure a turn."""
    ports: dict[str, int] = json.loads(town.place.ports.read_text())
    ways = {
        "service": (_url(ports["bench-procedures"]), ""),
        "in_process": (town.public_url, "/procedures"),
        "http": (_url(ports["bench-gateway"]), "/procedures"),
        "nginx": (_url(ports["bench-nginx"]), ""),
    }
    for url, _ in ways.values():
        await ready(url)
    token, ids = await _applications(town)
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(TURNS + 1):  # the first turn warms up
        for name, (url, prefix) in ways.items():
            requests = cycle([request("GET", f"{prefix}/v1/applications/{each}", token) for each in ids])
            sender = Sender(url)
            rate = await closed_loop(CALLERS, TURN_SECONDS if turn else 1.0, partial(_read, sender, requests))
            sender.close()
            if turn:
                rates[name].append(rate)
    return rates


async def _read(sender: Sender, requests: "cycle[bytes]") -> bool:
    answer = await sender.send(next(requests))
    if answer.status != 200:
        raise RuntimeError(f"an application was answered with {answer.status}")
    return True


async def _applications(town: Town) -> tuple[str, list[str]]:
    """A resident's token and applications of hers."""
    async with httpx.AsyncClient(base_url=town.public_url, timeout=30, trust_env=False) as client:
        resident = await people.resident(town, client, "hanako")
        body: dict[str, Any] = {"procedure_code": "LC-01", "answers": sample()}
        filed = [
            people.told(await client.post("/procedures/v1/applications", json=body, headers=resident.headers))
            for _ in range(APPLICATIONS)
        ]
    return resident.token, [application["id"] for application in filed]

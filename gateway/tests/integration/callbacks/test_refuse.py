"""A callback leads to nobody's inside: what is refused at registration and at every try is never connected to."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from town_gateway.callbacks import service
from town_gateway.callbacks.destinations import Destinations
from town_gateway.callbacks.send import Sender
from town_kit.auth import Principal, Role
from town_kit.clock import SystemClock
from town_kit.ids import new_id

HOST = "partner.example"
INSIDE = {"ten.example": ["10.0.0.1"], "loop.example": ["127.0.0.1"], "both.example": ["203.0.114.9", "::1"]}


@dataclass
class Listener:
    """Something inside that must not be reached: it counts who tried."""

    port: int = 0
    tried: list[str] = field(default_factory=list)


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    """Listens on this machine's addresses of IPv4 and IPv6."""
    found = Listener()

    async def count(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        found.tried.append(str(writer.get_extra_info("peername")))
        writer.close()

    server = await asyncio.start_server(count, "127.0.0.1", 0)
    found.port = server.sockets[0].getsockname()[1]
    async with server, await asyncio.start_server(count, "::1", found.port):
        yield found


async def tries(listener: Listener) -> int:
    """How many connections came, the fixture's own proof included: the listener does hear whoever connects."""
    before = len(listener.tried)
    _, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    writer.close()
    for _ in range(100):
        if len(listener.tried) > before:
            break
        await asyncio.sleep(0.01)
    assert len(listener.tried) == before + 1
    return before


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every address some socket of this process was told to connect to."""
    seen: list[Any] = []

    def noting(name: str) -> Any:
        real = getattr(socket.socket, name)

        def connect(self: socket.socket, address: Any) -> Any:
            seen.append(address)
            return real(self, address)

        return connect

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, noting(name))
    return seen


def inside(tried: Sequence[Any], listener: Listener) -> list[Any]:
    """The attempts to connect to what must not be reached; the town's own database is on this machine too."""
    forbidden = {address for addresses in INSIDE.values() for address in addresses} | {"169.254.169.254", "::1"}
    return [one for one in tried if one[0] in forbidden - {"127.0.0.1"} or one[1] == listener.port]


async def nothing_inside_was_tried(tried: Sequence[Any], listener: Listener) -> None:
    assert inside(tried, listener) == []
    assert await tries(listener) == 0
    assert inside(tried, listener) == [("127.0.0.1", listener.port)], "this attempt of our own would not have been seen"


@pytest.mark.case("D-25")
async def test_an_address_inside_is_refused_and_no_connection_is_tried(
    telling: Any,
    gateway_settings: Any,
    started: Any,
    listener: Listener,
    tried: list[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port = listener.port

    async def resolve(host: str, _: int) -> Sequence[str]:
        return INSIDE.get(host, [host])

    monkeypatch.setattr("town_gateway.callbacks.destinations.Destinations.__init__.__defaults__", ((), resolve))
    named = ["169.254.169.254", "127.0.0.1", f"127.0.0.1:{port}", "::1"]
    named += [f"{host}.example{end}" for host in ("ten", "loop", "both") for end in ("", f":{port}")]
    client = telling.partner.client_id
    settings = gateway_settings.model_copy(update={"callback_hosts": {client: tuple(named)}})
    urls = ["http://169.254.169.254/", "https://127.0.0.1/", f"https://127.0.0.1:{port}/", "https://[::1]/"]
    urls += [f"https://[::1]:{port}/", f"http://127.0.0.1:{port}/", "https://ten.example/", "https://loop.example/"]
    urls += [f"https://loop.example:{port}/", f"https://both.example:{port}/", f"https://localhost:{port}/"]
    async with started(settings) as gateway:
        telling.partner.gateway = gateway
        for url in urls:
            answer = await telling.partner.call("POST", json={"url": url})
            assert (answer.status_code, answer.json()["type"]) == (422, "urn:town:problem:callback-url-refused"), url
            assert url not in answer.text
        assert (await telling.partner.call("GET")).json() == []
    await nothing_inside_was_tried(tried, listener)


def own_name(directory: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context with a certificate for HOST alone, and a client's that trusts it."""
    key, now = ec.generate_private_key(ec.SECP256R1()), SystemClock().now()
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(now.astimezone(UTC) - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), False)
        .add_extension(x509.BasicConstraints(True, None), True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    chain = directory / "chain.pem"
    chain.write_bytes(
        pem
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(chain)
    return server, ssl.create_default_context(cadata=pem.decode())


async def a_callback(telling: Any, sender: Sender, url: str) -> str:
    """A callback that was registered when its name still led elsewhere, with one delivery due."""
    actor = Principal(new_id(), Role.VENDOR, telling.partner.client_id, frozenset())
    async with telling.database.begin() as session:
        callback = await service.register(session, sender.sealer, actor, url, at=telling.clock.now())
        found = str(callback.id)
    await telling.hear("accepted", telling.partner.client_id)
    await sender.send_due()
    await asyncio.wait_for(sender.idle(), 20)
    return found


async def results(telling: Any, callback: str) -> list[str]:
    query = """SELECT a.result FROM callback_attempts a JOIN callback_deliveries d ON d.id = a.delivery_id
                WHERE d.callback_id = :id ORDER BY a.number"""
    return [row.result for row in await telling.rows(query, id=callback)]


@pytest.mark.case("D-25")
@pytest.mark.parametrize("address", ["127.0.0.1", "169.254.169.254", "10.0.0.1", "::1"])
async def test_a_name_that_leads_inside_later_is_not_followed(
    telling: Any, listener: Listener, tried: list[Any], address: str
) -> None:
    async def rebound(host: str, port: int) -> Sequence[str]:
        return [address]

    url = f"https://{HOST}:{listener.port}/"
    destinations = Destinations({telling.partner.client_id: (f"{HOST}:{listener.port}",)}, (), rebound)
    async with Sender(telling.database, destinations, telling.sender.sealer, telling.clock).running() as sender:
        callback = await a_callback(telling, sender, url)
    assert await results(telling, callback) == ["refused"]
    await nothing_inside_was_tried(tried, listener)


@pytest.mark.case("D-25")
async def test_no_proxy_and_no_redirect_leads_elsewhere(
    telling: Any, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{listener.port}")
    telling.receiver.status = 307
    telling.receiver.headers = [(b"location", f"http://127.0.0.1:{listener.port}/".encode())]
    callback = await a_callback(telling, telling.sender, telling.url)
    assert await results(telling, callback) == ["307"]
    assert len(telling.receiver.came) == 1
    assert await tries(listener) == 0


@pytest.mark.parametrize("trusted", [True, False])
async def test_the_one_address_is_spoken_to_by_its_name_and_must_prove_it(
    telling: Any, tmp_path: Path, trusted: bool
) -> None:
    server_context, client_context = own_name(tmp_path)
    heard: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    looked_up: list[str] = []

    async def resolve(host: str, port: int) -> Sequence[str]:
        looked_up.append(host)
        return ["127.0.0.1"]

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=server_context)
    named = f"{HOST}:{server.sockets[0].getsockname()[1]}"
    destinations = Destinations({telling.partner.client_id: (named,)}, (named,), resolve)
    trust = client_context if trusted else ssl.create_default_context()
    sender = Sender(telling.database, destinations, telling.sender.sealer, telling.clock, trust=trust)
    async with server, sender.running():
        callback = await a_callback(telling, sender, f"https://{named}/town")
    assert await results(telling, callback) == (["204"] if trusted else ["connection"])
    assert looked_up == [HOST]
    assert [f"host: {named}" in head.decode().lower() for head in heard] == ([True] if trusted else [])

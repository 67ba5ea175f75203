"""`identity` on a real PostgreSQL, with a test authority, its lists, and the staff directory of the sandbox."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import yaml
from sqlalchemy import text

from town_identity.keys import create_ring
from town_identity.main import MIGRATIONS, create_service
from town_identity.settings import IdentitySettings
from town_kit.app import create_app
from town_kit.auth import Role
from town_kit.auth.jose import SigningKey, generate_signing_key, jwks
from town_kit.clock import Clock, FixedClock
from town_kit.ids import new_id
from town_kit.service import Service
from town_kit.testing import PostgresServer
from town_sandbox.jpki import DEMO_HOLDERS, JpkiTestAuthority, VirtualCard
from town_sandbox.jpki.samples import CONTENT, DIGESTS, NOW

REDIRECT = "http://127.0.0.1/staff/callback"
ISSUER = "https://identity.town.test"
LINKAGE_CLIENT = "CoreSystem027" + "0" * 19
LINKAGE_SECRET = "s" * 48


@dataclass
class Directory:
    """The staff directory of the sandbox, a process of its own."""

    issuer: str
    client: dict[str, str]

    def settings(self, **changes: str) -> dict[str, Any]:
        values = {
            "oidc_issuer": self.issuer,
            "oidc_client_id": self.client["client_id"],
            "oidc_client_secret": self.client["client_secret"],
            "oidc_redirect_uri": REDIRECT,
        }
        return {**values, **changes}

    def sign_in(self, url: str, person: str) -> dict[str, str]:
        """What a browser brings back: code and state."""
        answer = httpx.get(f"{url}&login_hint={person}", trust_env=False)
        query = parse_qs(urlsplit(answer.headers["location"]).query)
        return {"code": query["code"][0], "state": query["state"][0]}

    def goes_away(self, path: str = "", count: int = 1_000_000) -> None:
        """From now on it answers 503, where the path holds ``path``; ``count`` times."""
        fault = {"kind": "unavailable", "count": count, "path": path}
        httpx.post(f"{self.issuer}/_faults", json=fault, trust_env=False).raise_for_status()

    def comes_back(self) -> None:
        """It answers again."""
        httpx.delete(f"{self.issuer}/_faults", trust_env=False).raise_for_status()


@pytest.fixture(scope="session")
def directory_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Directory]:
    folder: Path = tmp_path_factory.mktemp("sandbox")
    (folder / "config.json").write_text(json.dumps({"oidc_redirect_uris": [REDIRECT]}))
    command = [sys.executable, "-m", "town_sandbox", "serve", "--directory", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    addresses = json.loads(process.stdout.readline())
    client = json.loads((folder / "credentials.json").read_text())["oidc"]
    yield Directory(addresses["oidc"], client)
    process.terminate()
    process.wait(20)


@pytest.fixture
def directory(directory_process: Directory) -> Iterator[Directory]:
    yield directory_process
    directory_process.comes_back()


@dataclass
class Api:
    """The service as its callers see it."""

    service: Service
    client: httpx.AsyncClient
    clock: FixedClock
    authority: JpkiTestAuthority
    lists: Path
    procedures_key: SigningKey
    key_ring: Path

    def card(self, holder: str = "hanako", **options: Any) -> VirtualCard:
        return VirtualCard.issue(
            self.authority, DEMO_HOLDERS[holder], now=self.clock.now() - timedelta(days=1), **options
        )

    def token(self, role: Role, *scopes: str, subject: Any = None, amr: tuple[str, ...] = ("pwd", "hwk")) -> str:
        tokens = self.service.extras["ports"].tokens
        return str(
            tokens.issue(
                subject=subject or new_id(), role=role, client_id="test", scopes=scopes, seconds=600, amr=amr
            ).token
        )

    def headers(self, role: Role, *scopes: str, **more: Any) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token(role, *scopes, **more)}", "Idempotency-Key": str(new_id())}

    def bearer(self, token: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {token}", "Idempotency-Key": str(new_id())}

    def publish_lists(self) -> None:
        self.authority.publish_crls(self.lists, self.clock.now())

    async def rows(self, query: str, **parameters: Any) -> list[Any]:
        """Rows as the database really holds them, past row security."""
        async with self.service.database.begin() as session:
            return list((await session.execute(text(query), parameters)).all())

    async def verify(self, cms: bytes, **changes: Any) -> httpx.Response:
        body = {
            "digests": {name: digest.hex() for name, digest in DIGESTS.items()},
            "cms": base64.b64encode(cms).decode(),
            "received_at": self.clock.now().isoformat(),
        }
        headers = self.headers(Role.SERVICE, "signature-verifications:create")
        return await self.client.post("/v1/signature-verifications", json={**body, **changes}, headers=headers)

    async def challenge(self) -> dict[str, Any]:
        answer = await self.client.post("/v1/login-challenges", json={})
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def answer(self, challenge: dict[str, Any], card: VirtualCard, **changes: Any) -> dict[str, Any]:
        signature = card.sign_login(base64.b64decode(challenge["to_be_signed"]))
        return {
            "challenge_id": challenge["challenge_id"],
            "certificate": base64.b64encode(card.auth_der).decode(),
            "signature": base64.b64encode(signature).decode(),
            "device_name": "花子のスマホ",
            **changes,
        }

    async def log_in(self, card: VirtualCard) -> dict[str, Any]:
        answer = await self.client.post("/v1/resident-sessions", json=self.answer(await self.challenge(), card))
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def sign(self, card: VirtualCard) -> bytes:
        return card.sign(CONTENT, self.clock.now())


@pytest.fixture(scope="session")
def authority() -> JpkiTestAuthority:
    return JpkiTestAuthority.create()


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOW)


@pytest.fixture
def make_settings(
    postgres_server: PostgresServer, authority: JpkiTestAuthority, clock: FixedClock, tmp_path: Path
) -> Callable[..., IdentitySettings]:
    urls = postgres_server.create_database("identity", MIGRATIONS)
    authority.write_anchors(tmp_path / "anchors")
    authority.publish_crls(tmp_path / "crl", clock.now() - timedelta(hours=1))
    create_ring(tmp_path / "ring")
    procedures_key = generate_signing_key()
    procedures_key.save(tmp_path / "procedures.pem")
    clients = [
        {
            "client_id": "service:procedures",
            "role": "service",
            "method": "private_key_jwt",
            "jwks": jwks([procedures_key.public]),
        },
        {
            "client_id": LINKAGE_CLIENT,
            "role": "vendor",
            "method": "client_secret_jwt",
            "secret": LINKAGE_SECRET,
            "scopes": ["027:child_allowance_applications:Read"],
        },
    ]
    (tmp_path / "clients.yaml").write_text(yaml.safe_dump({"clients": clients}))

    def make(**changes: Any) -> IdentitySettings:
        values = {
            "database_url": urls.app_url,
            "issuer": ISSUER,
            "jwks": "unused",
            "key_ring": tmp_path / "ring",
            "clients": tmp_path / "clients.yaml",
            "test_anchors": tmp_path / "anchors",
            "revocation_lists": tmp_path / "crl",
            "revocation_look_seconds": 0,
            "key_encryption_key": base64.b64encode(os.urandom(32)).decode(),
            "digest_key": base64.b64encode(os.urandom(32)).decode(),
        }
        return IdentitySettings(**{**values, **changes})

    return make


@pytest.fixture
async def serve(
    make_settings: Callable[..., IdentitySettings], authority: JpkiTestAuthority, clock: FixedClock, tmp_path: Path
) -> AsyncIterator[Callable[..., Awaitable[Api]]]:
    """Start the service with some settings changed."""
    async with AsyncExitStack() as stack:

        async def start(time: Clock = clock, **changes: Any) -> Api:
            service = create_service(make_settings(**changes), clock=time)
            app = create_app(service)
            await stack.enter_async_context(app.router.lifespan_context(app))
            transport = httpx.ASGITransport(app=app)
            client = await stack.enter_async_context(httpx.AsyncClient(transport=transport, base_url="http://identity"))
            key = SigningKey.load(tmp_path / "procedures.pem")
            return Api(service, client, clock, authority, tmp_path / "crl", key, tmp_path / "ring")

        yield start


@pytest.fixture
async def api(serve: Callable[..., Awaitable[Api]]) -> Api:
    return await serve()

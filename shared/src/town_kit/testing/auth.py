"""Tokens for tests: a real issuer key, real signatures, the real verifier; only identity's front door is left out."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import pytest

from town_kit.auth.jose import SigningKey, generate_signing_key, jwks, sign
from town_kit.auth.principal import Role
from town_kit.auth.tokens import AUDIENCE
from town_kit.clock import Clock, SystemClock
from town_kit.ids import new_id

T = TypeVar("T")

ISSUER = "https://identity.town.test"


class Issuer:
    """Signs access tokens as identity does; ``jwks_file`` is what a service's ``jwks`` setting names."""

    def __init__(self, directory: Path, clock: Clock | None = None) -> None:
        self.key: SigningKey = generate_signing_key()
        self.clock = clock or SystemClock()
        self.jwks_file = directory / "jwks.json"
        self.jwks_file.write_text(json.dumps(jwks([self.key.public])))

    def token(
        self,
        role: Role,
        scopes: str,
        *,
        subject: UUID | None = None,
        client_id: str = "test",
        amr: tuple[str, ...] = (),
        **claims: object,
    ) -> str:
        """An access token; any claim can be overridden to make a wrong one."""
        now = int(self.clock.now().timestamp())
        body: dict[str, object] = {
            "iss": ISSUER,
            "sub": str(subject or new_id()),
            "aud": AUDIENCE,
            "client_id": client_id,
            "role": role.value,
            "scope": scopes,
            "amr": list(amr),
            "iat": now,
            "nbf": now,
            "exp": now + int(timedelta(minutes=10).total_seconds()),
            "jti": str(new_id()),
        }
        return sign({**body, **claims}, self.key, typ="at+jwt")

    def headers(self, role: Role, scopes: str, **more: Any) -> Mapping[str, str]:
        """The ``Authorization`` header of such a token, and a fresh ``Idempotency-Key``."""
        return {"Authorization": f"Bearer {self.token(role, scopes, **more)}", "Idempotency-Key": str(new_id())}


@pytest.fixture
def issuer(tmp_path: Path) -> Issuer:
    """The issuer of one test; a test may set its clock."""
    return Issuer(tmp_path)


async def eventually(condition: Callable[[], Awaitable[T | None]], *, within: float = 5.0, every: float = 0.02) -> T:
    """Wait until the awaited ``condition()`` is true and answer it; fails the test when it never is."""
    give_up = asyncio.get_running_loop().time() + within
    while True:
        value = await condition()
        if value:
            return value
        if asyncio.get_running_loop().time() > give_up:
            pytest.fail(f"did not happen within {within} s")
        await asyncio.sleep(every)

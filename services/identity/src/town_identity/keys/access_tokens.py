"""Access tokens (RFC 9068): short, signed with ES256, checked by each service for itself."""

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from town_identity.keys.ring import KeyRing, RingUnusable
from town_kit.auth import AUDIENCE, Role
from town_kit.auth.jose import TokenRefused, sign, verify
from town_kit.clock import Clock
from town_kit.ids import new_id

log = logging.getLogger(__name__)
_LOOK_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A token to hand out once; ``expires_in`` in seconds."""

    token: str = field(repr=False)
    expires_in: int
    scope: str


class AccessTokens:
    """Issues and checks this town's access tokens with the key ring in ``folder``, which may be rotated meanwhile."""

    def __init__(self, folder: Path, issuer: str, clock: Clock) -> None:
        self.issuer = issuer
        self._folder, self._clock = folder, clock
        self._ring, self._look_at = KeyRing.load(folder), time.monotonic() + _LOOK_SECONDS

    @property
    def ring(self) -> KeyRing:
        """The ring, looked at again every 30 seconds."""
        if time.monotonic() > self._look_at:
            self._look_at = time.monotonic() + _LOOK_SECONDS
            try:
                self._ring = KeyRing.load(self._folder)
            except RingUnusable as error:  # the ring in use goes on serving
                log.warning("the changed key ring was not taken: %s", error)
        return self._ring

    def issue(
        self,
        *,
        subject: UUID,
        role: Role,
        client_id: str,
        scopes: Iterable[str],
        seconds: int,
        amr: Iterable[str] = (),
        session_id: UUID | None = None,
    ) -> IssuedToken:
        """A token for ``subject``: the person of a resident, the account of staff, or the client itself."""
        now = self._clock.now()
        scope = " ".join(sorted(scopes))
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "sub": str(subject),
            "aud": AUDIENCE,
            "client_id": client_id,
            "role": role.value,
            "scope": scope,
            "amr": list(amr),
            "iat": int(now.timestamp()),
            "nbf": int(now.timestamp()),
            "exp": int((now + timedelta(seconds=seconds)).timestamp()),
            "jti": str(new_id()),
        }
        if session_id is not None:
            claims["sid"] = str(session_id)
        return IssuedToken(sign(claims, self.ring.active, typ="at+jwt"), seconds, scope)

    def read(self, token: str) -> dict[str, Any] | None:
        """The claims of one of our tokens, or None when it is not one or no longer."""
        try:
            return verify(
                token,
                self.ring.public,
                typ="at+jwt",
                issuer=self.issuer,
                audience=AUDIENCE,
                now=self._clock.now(),
            )
        except TokenRefused:
            return None

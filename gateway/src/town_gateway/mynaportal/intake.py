"""Handing a raw package to procedures (``POST /v1/intake``), the connector's own door."""

import hmac
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import IO
from uuid import UUID

import httpx

from town_gateway.mynaportal.portal import Listed
from town_kit.clock import JST
from town_kit.http import Credentials
from town_kit.problems import DependencyUnavailable

_KEYS = uuid.uuid5(uuid.NAMESPACE_URL, "urn:town:connector:intake")
_CHUNK = 256 * 1024
SECONDS = 60.0


class IntakeUnavailable(Exception):
    """Procedures did not acknowledge the package; it stays where it is and is handed over again."""


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """What procedures did with a package: received, pending, quarantined or already-received."""

    outcome: str
    application_id: UUID | None
    reason: str | None


class IntakeClient:
    """The intake door of procedures.

    Args:
        connect: opens a client to procedures.
        credentials: the connector's own.
        digest_key: HMAC key of the content digest; a plain hash does not leave this process.
    """

    def __init__(
        self,
        connect: Callable[[], AbstractAsyncContextManager[httpx.AsyncClient]],
        credentials: Credentials,
        digest_key: bytes,
    ) -> None:
        self._connect = connect
        self._credentials = credentials
        self._digest_key = digest_key

    async def submit(self, listed: Listed, package: IO[bytes], size: int) -> Acknowledgement:
        """Hand over a package; the same package again gets the first answer again.

        Raises:
            IntakeUnavailable: there was no 2xx.
        """
        headers = {
            "Content-Type": "application/zip",
            "Content-Length": str(size),
            "Idempotency-Key": self.key(listed.receipt_no, package),
        }
        query = {
            "source": "mynaportal",
            "receipt_no": listed.receipt_no,
            "received_at": listed.received_at.astimezone(JST).isoformat(),
            "mynaportal_procedure_id": listed.mynaportal_procedure_id,
        }
        try:
            headers |= await self._credentials.headers()
            async with self._connect() as client:
                answer = await client.post(
                    "/v1/intake", params=query, headers=headers, content=_chunks(package), timeout=SECONDS
                )
            if answer.status_code == httpx.codes.UNAUTHORIZED:
                self._credentials.refused()
            if not 200 <= answer.status_code < 300:
                raise IntakeUnavailable(f"status {answer.status_code}")
            document = answer.json()
            application_id = document["application_id"]
            return Acknowledgement(
                outcome=str(document["outcome"]),
                application_id=UUID(application_id) if application_id else None,
                reason=document["reason"],
            )
        except (httpx.HTTPError, DependencyUnavailable, ValueError, KeyError, TypeError) as failure:
            raise IntakeUnavailable(type(failure).__name__) from None

    def key(self, receipt_no: str, package: IO[bytes]) -> str:
        """The idempotency key: 受付番号 and an HMAC of the content, so that another content is another request."""
        digest = hmac.new(self._digest_key, digestmod="sha256")
        package.seek(0)
        while chunk := package.read(_CHUNK):
            digest.update(chunk)
        return str(uuid.uuid5(_KEYS, f"{receipt_no}:{digest.hexdigest()}"))


async def _chunks(package: IO[bytes]) -> AsyncIterator[bytes]:
    package.seek(0)
    while chunk := package.read(_CHUNK):
        yield chunk

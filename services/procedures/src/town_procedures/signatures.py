"""The signature verifier behind identity's interface; identity gets digest and CMS, and keeps neither."""

import base64
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any
from uuid import UUID

from town_kit.auth import ServiceTokens
from town_kit.breaker import Breaker
from town_kit.http import Retry, Timeouts, outbound
from town_kit.ids import new_id
from town_kit.problems import DependencyUnavailable, FieldError, Problem
from town_kit.problems.base import URN
from town_procedures.applications import Holder, SerialStatus, SignatureFacts

SILENT = "署名を確認するシステムが応答しません。少し待ってから、もう一度送ってください。"


class IdentitySignatures:
    """Asks identity over its address (``http://``, ``unix:`` or ``asgi:``)."""

    def __init__(self, address: str, tokens: ServiceTokens) -> None:
        self.identity = outbound(
            "identity",
            address,
            timeout=Timeouts(read=10, total=15),
            retry=Retry(attempts=2),
            breaker=Breaker(failures=5, pause=5),
            credentials=tokens,
        )

    async def verify(self, *, digests: Mapping[str, bytes], cms: bytes, received_at: datetime) -> SignatureFacts:
        """The verdict on a detached signature.

        Raises:
            Problem: identity's own refusal (``jpki-*``, ``signature-invalid``), or 503 when it does not answer.
        """
        document = await self._post(
            "/v1/signature-verifications",
            {
                "digests": {name: digest.hex() for name, digest in digests.items()},
                "cms": base64.b64encode(cms).decode(),
                "received_at": received_at.isoformat(),
            },
        )
        try:
            attributes = document["attributes"]
            return SignatureFacts(
                person_id=UUID(document["person_id"]),
                issuer=document["issuer"],
                serial_reference=document["serial_reference"],
                generation=document["generation"],
                revocation=document["revocation"],
                revoked_later=document["revoked_later"],
                checked_at=document["checked_at"],
                birth=date.fromisoformat(attributes["birth"]) if attributes["birth"] else None,
                name_substitutes=attributes["name_substitutes"],
                address_substitutes=attributes["address_substitutes"],
                holder=Holder(attributes["name"], attributes["sex"], attributes["address"]),
            )
        except (KeyError, TypeError, ValueError):
            raise DependencyUnavailable(SILENT, retry_after=5) from None

    async def recheck(self, serial_reference: str, received_at: datetime) -> SerialStatus:
        """The status of a certificate at the moment of receipt."""
        document = await self._post(
            "/v1/serial-status-checks",
            {"serial_reference": serial_reference, "received_at": received_at.isoformat()},
        )
        if not isinstance(document.get("revocation"), str):
            raise DependencyUnavailable(SILENT, retry_after=5)
        return SerialStatus(str(document["revocation"]), bool(document.get("revoked_later")))

    async def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        # identity gives the same verdict however often it is asked, so a call may repeat
        headers = {"Idempotency-Key": str(new_id())}
        answer = await self.identity.post(path, json=body, headers=headers, idempotent=True)
        try:
            document = answer.json()
        except ValueError:
            document = None
        if not isinstance(document, dict):  # a page of something between us and identity
            raise DependencyUnavailable(SILENT, retry_after=5)
        if answer.status_code >= 300:
            raise refusal(answer.status_code, document)
        return document


def refusal(status: int, document: dict[str, Any]) -> Problem:
    """A neighbour's problem document as the problem it names; what is not a refusal of the caller becomes 503."""
    kind = Problem.catalogue.get(str(document.get("type", "")).removeprefix(URN))
    if kind is None or status in {401, 403, 404} or status >= 500:
        return DependencyUnavailable(
            "関係するシステムが応答しません。少し待ってから、もう一度送ってください。", retry_after=5
        )
    errors = [FieldError(e["pointer"], e["code"], e["message"]) for e in document.get("errors", [])]
    return kind(document.get("detail"), errors=errors)

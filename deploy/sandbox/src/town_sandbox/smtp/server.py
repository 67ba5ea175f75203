"""SMTP with aiosmtpd; faults are switched on over HTTP beside it.

A recipient whose name begins with ``unknown`` is refused for good (550). Faults of its own: ``temporary`` (451),
``permanent`` (550), ``busy`` (421); ``timeout``, ``slow`` and ``drop_reply`` (stored, then the connection is cut before
the 250) as everywhere.
"""

import asyncio
import socket
from email import policy
from email.parser import BytesParser

from aiosmtpd.smtp import SMTP, Envelope, Session

from town_sandbox.configuration import Place
from town_sandbox.counterpart import Counterpart, counterpart
from town_sandbox.faults import Fault, Faults
from town_sandbox.ledger import Ledger

_REPLIES = {
    "temporary": "451 4.3.0 try again later",
    "unavailable": "451 4.3.0 try again later",
    "permanent": "550 5.7.1 refused",
    "busy": "421 4.3.2 closing",
}
_KINDS = frozenset(_REPLIES) | {"timeout", "slow", "drop_reply", "refuse"}


class MailHandler:
    """What the server does with a message."""

    def __init__(self, ledger: Ledger, faults: Faults) -> None:
        self._ledger = ledger
        self._faults = faults

    async def handle_RCPT(
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Refuse who does not exist."""
        if address.startswith("unknown"):
            await self._ledger.append("recipient_refused", recipient=address)
            return "550 5.1.1 no such user"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:
        """Keep a message."""
        fault = self._faults.take(_KINDS)
        if fault and fault.kind in _REPLIES:
            return _REPLIES[fault.kind]
        if fault and fault.kind != "drop_reply":
            await self._hold(server, fault)
        content = envelope.content if isinstance(envelope.content, bytes) else str(envelope.content).encode()
        if not (fault and fault.kind in ("refuse", "timeout")):
            await self._keep(envelope, content)
        if fault and fault.kind == "drop_reply":
            _cut(server)
        return "250 2.0.0 OK"

    async def _hold(self, server: SMTP, fault: Fault) -> None:
        await asyncio.sleep(fault.seconds)
        if fault.kind in ("refuse", "timeout"):
            _cut(server)

    async def _keep(self, envelope: Envelope, content: bytes) -> None:
        message = BytesParser(policy=policy.default).parsebytes(content)
        body = message.get_body(("plain", "html"))
        await self._ledger.append(
            "message",
            message_id=str(message["Message-ID"] or ""),
            mail_from=envelope.mail_from,
            recipients=list(envelope.rcpt_tos),
            subject=str(message["Subject"] or ""),
            headers={name: str(value) for name, value in message.items()},
            text=body.get_content() if body else "",
        )


def _cut(server: SMTP) -> None:
    if isinstance(server.transport, asyncio.Transport):
        server.transport.abort()


def create(place: Place, listening: socket.socket) -> Counterpart:
    """The mail server on a bound socket, its messages in ``smtp.jsonl``; the app has only control routes."""
    ledger = Ledger(place.directory / "smtp.jsonl")
    faults = Faults({"temporary", "permanent", "busy"})
    handler = MailHandler(ledger, faults)

    async def serve() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: SMTP(handler, hostname="sandbox.invalid", enable_SMTPUTF8=True, loop=loop), sock=listening
        )
        async with server:
            await server.serve_forever()

    return counterpart("smtp_control", [], ledger, faults, background=[serve])

"""Mail over SMTP (RFC 5321): plain text, UTF-8, with a Message-ID that is the same for each attempt."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import format_datetime

import aiosmtplib

from town_kit.clock import JST, Clock
from town_notifications.channels import Channel, Outcome, Outgoing, Verdict

TIMEOUT_SECONDS = 15.0
IDLE_SECONDS = 10.0
AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mail is handed in, and as whom.

    Attributes:
        host: of the server.
        port: of the server.
        sender: address that stands in From and in the envelope.
        domain: right half of each Message-ID.
        username: for SMTP AUTH; None sends without.
        password: for SMTP AUTH.
        tls: ``required`` (STARTTLS or nothing is sent), ``implicit`` (TLS from the first byte), or ``none`` (loopback).
    """

    host: str
    port: int
    sender: str
    domain: str
    username: str | None = None
    password: str | None = None
    tls: str = "required"


class SmtpChannel:
    """Sends mail over a few connections that are kept for a while."""

    channel = Channel.EMAIL

    def __init__(self, server: MailServer, clock: Clock, *, at_once: int = AT_ONCE) -> None:
        self.server = server
        self.clock = clock
        self._free: deque[tuple[aiosmtplib.SMTP, float]] = deque()
        self.at_once = at_once
        self._slots = asyncio.Semaphore(at_once)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["SmtpChannel"]:
        """Close what is open at the end of the block."""
        try:
            yield self
        finally:
            while self._free:
                self._free.popleft()[0].close()

    async def send(self, outgoing: Outgoing) -> Outcome:
        """Try once."""
        async with self._slots:
            try:
                client = await self._client()
            except (aiosmtplib.SMTPException, OSError, TimeoutError):
                return Outcome(Verdict.RETRY, "unreachable")
            try:
                await client.send_message(self.message(outgoing))
            except aiosmtplib.SMTPRecipientsRefused as refused:
                self._keep(client)
                return _by_status(refused.recipients[0].code, gone=True)
            except aiosmtplib.SMTPResponseException as refused:
                self._keep(client)
                return _by_status(refused.code, gone=False)
            except (aiosmtplib.SMTPException, OSError, TimeoutError):
                client.close()
                return Outcome(Verdict.RETRY, "interrupted")
            self._keep(client)
            return Outcome(Verdict.SENT, "250", provider_id=self.message_id(outgoing))

    def message_id(self, outgoing: Outgoing) -> str:
        """``<delivery id@domain>``."""
        return f"<{outgoing.delivery_id}@{self.server.domain}>"

    def message(self, outgoing: Outgoing) -> EmailMessage:
        """The mail. A line break in an address or a title is refused by the library, so no header can be slipped in."""
        mail = EmailMessage()
        mail["From"] = self.server.sender
        mail["To"] = outgoing.address
        mail["Subject"] = outgoing.title
        mail["Date"] = format_datetime(self.clock.now().astimezone(JST))
        mail["Message-ID"] = self.message_id(outgoing)
        mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers
        if outgoing.urgent:
            mail["Importance"] = "high"
            mail["X-Priority"] = "1"
        mail.set_content(outgoing.body)
        return mail

    async def _client(self) -> aiosmtplib.SMTP:
        while self._free:
            client, last_used = self._free.pop()
            if client.is_connected and time.monotonic() - last_used < IDLE_SECONDS:
                return client
            client.close()
        client = aiosmtplib.SMTP(
            hostname=self.server.host,
            port=self.server.port,
            username=self.server.username,
            password=self.server.password,
            use_tls=self.server.tls == "implicit",
            start_tls=self.server.tls == "required",
            timeout=TIMEOUT_SECONDS,
        )
        await client.connect()
        return client

    def _keep(self, client: aiosmtplib.SMTP) -> None:
        if client.is_connected:
            self._free.append((client, time.monotonic()))


def _by_status(code: int, *, gone: bool) -> Outcome:
    """4xx passes, 5xx stays (RFC 5321 §4.2.1); a recipient refused for good does not exist."""
    if 400 <= code < 500:
        return Outcome(Verdict.RETRY, str(code))
    return Outcome(Verdict.GONE if gone else Verdict.FAILED, str(code))

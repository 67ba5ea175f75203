"""Calls to the portal as its profile says: login, list, package, receipt, status."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

import httpx
from pydantic import SecretStr

from town_gateway.mynaportal.profile import AnswerUnreadable, Call, Profile, fill, read, read_fields
from town_kit.http import Outbound
from town_kit.problems import DependencyUnavailable

TRANSIENT = frozenset({401, 403, 408, 425, 429})
_RENEW_BEFORE_SECONDS = 30


class PortalUnavailable(Exception):
    """The portal does not answer, or not now; the same call may succeed later."""


class PortalRefused(Exception):
    """The portal refused the content of a call; repeating it changes nothing."""

    def __init__(self, status: int) -> None:
        super().__init__(f"status {status}")
        self.status = status


@dataclass(frozen=True, slots=True)
class Listed:
    """One application as the list names it; ``revision`` tells a corrected package from the first."""

    receipt_no: str
    revision: str
    received_at: datetime
    mynaportal_procedure_id: str


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the list and where the next one begins."""

    items: tuple[Listed, ...]
    next_cursor: str


class PortalClient:
    """The portal, spoken to in the words of a profile.

    Args:
        profile: paths, fields and codes.
        system: the outside system behind it.
        login_id, password: what the portal issued to the town.
    """

    def __init__(self, profile: Profile, system: Outbound, *, login_id: str, password: SecretStr) -> None:
        self.profile = profile
        self.system = system
        self._login_id = login_id
        self._password = password
        self._token = ""
        self._renew_at = 0.0
        self._logging_in = asyncio.Lock()

    async def list(self, cursor: str | None) -> Page:
        """The applications after ``cursor``, oldest first (申請データ一覧取得).

        Raises:
            PortalUnavailable, PortalRefused, AnswerUnreadable
        """
        call = self.profile.list
        answer = await self._call(call, {"cursor": cursor if cursor is not None else call.first_cursor})
        document = _json(answer)
        items = read(document, call.items)
        if not isinstance(items, list):
            raise AnswerUnreadable(call.items)
        fields = [read_fields(item, call.fields) for item in items]
        next_cursor = read_fields(document, {"next_cursor": call.next_cursor})["next_cursor"]
        return Page(tuple(_listed(values, call.fields) for values in fields), next_cursor)

    @asynccontextmanager
    async def package(self, receipt_no: str) -> AsyncIterator[AsyncIterator[bytes]]:
        """The raw package of one application as a stream (申請データ取得).

        Raises:
            PortalUnavailable, PortalRefused
        """
        call = self.profile.package
        try:
            async with AsyncExitStack() as open_answers:
                answer = await self._stream(open_answers, call, receipt_no)
                if answer.status_code == 401:
                    self._renew_at = 0.0
                    answer = await self._stream(open_answers, call, receipt_no)
                self._judge(call, answer)
                yield answer.aiter_bytes()
        except DependencyUnavailable:
            raise PortalUnavailable("no answer") from None

    async def _stream(self, open_answers: AsyncExitStack, call: Call, receipt_no: str) -> httpx.Response:
        path, options = self._request(call, {"receipt_no": receipt_no}, await self._valid_token())
        return await open_answers.enter_async_context(self.system.stream(call.method, path, **options))

    async def confirm_receipt(self, receipt_no: str, *, revision: str, received_at: datetime) -> None:
        """Tell the portal that the package is stored (受領).

        Raises:
            PortalUnavailable, PortalRefused
        """
        values = {
            "receipt_no": receipt_no,
            "revision": revision,
            "received_at": received_at.isoformat(timespec="milliseconds"),
            "sequence": 0,
        }
        await self._call(self.profile.receipt, values)

    async def push_status(
        self, receipt_no: str, *, status_id: str, sequence: int, code: str, message: str, occurred_at: datetime
    ) -> None:
        """Tell the portal a status (申請処理状況); ``status_id`` and ``sequence`` let it drop a repeat.

        Raises:
            PortalUnavailable, PortalRefused
        """
        values = {
            "receipt_no": receipt_no,
            "status_id": status_id,
            "sequence": sequence,
            "code": code,
            "message": message,
            "occurred_at": occurred_at.isoformat(timespec="milliseconds"),
        }
        await self._call(self.profile.status, values)

    async def _call(self, call: Call, values: Mapping[str, Any]) -> httpx.Response:
        """Send with a token; a token the portal no longer takes is renewed once."""
        answer = await self._send(call, values, await self._valid_token())
        if answer.status_code == 401:
            self._renew_at = 0.0
            answer = await self._send(call, values, await self._valid_token())
        self._judge(call, answer)
        return answer

    async def _send(self, call: Call, values: Mapping[str, Any], token: str | None) -> httpx.Response:
        path, options = self._request(call, values, token)
        try:
            return await self.system.request(call.method, path, idempotent=True, **options)
        except DependencyUnavailable:
            raise PortalUnavailable("no answer") from None

    def _request(self, call: Call, values: Mapping[str, Any], token: str | None) -> tuple[str, dict[str, Any]]:
        quoted = {name: quote(str(value), safe="") for name, value in values.items()}
        options: dict[str, Any] = {}
        if call.query:
            options["params"] = fill(call.query, values)
        if call.body:
            options["json"] = fill(call.body, values)
        if token is not None:
            header = self.profile.token_header
            options["headers"] = {header.name: fill(header.value, {"token": token})}
        return fill(call.path, quoted), options

    async def _valid_token(self) -> str:
        async with self._logging_in:
            if time.monotonic() >= self._renew_at:
                await self._login()
        return self._token

    async def _login(self) -> None:
        call = self.profile.login
        values = {"login_id": self._login_id, "password": self._password.get_secret_value()}
        answer = await self._send(call, values, None)
        self._judge(call, answer)
        fields = read_fields(_json(answer), call.fields)
        self._token = fields["token"]
        self._renew_at = time.monotonic() + max(1, int(fields["expires_in"]) - _RENEW_BEFORE_SECONDS)

    def _judge(self, call: Call, answer: httpx.Response) -> None:
        status = answer.status_code
        if 200 <= status < 300 or status in call.already_done:
            return
        if status == 401:
            self._renew_at = 0.0
        if status in TRANSIENT or status >= 500 or status < 400:
            raise PortalUnavailable(f"status {status}")
        raise PortalRefused(status)


def _json(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        raise AnswerUnreadable("$") from None


def _listed(values: dict[str, str], paths: Mapping[str, str]) -> Listed:
    try:
        received_at = datetime.fromisoformat(values["received_at"])
    except ValueError:
        raise AnswerUnreadable(paths["received_at"]) from None
    if received_at.tzinfo is None:
        raise AnswerUnreadable(paths["received_at"])
    return Listed(values["receipt_no"], values["revision"], received_at, values["mynaportal_procedure_id"])

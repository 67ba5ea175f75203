"""ぴったりサービス as the town and the citizen meet it: the 申請管理 side by profile, and the citizen's side."""

import base64
import binascii
import hmac
import html
import secrets
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import wraps
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from town_kit.clock import JST, Clock, SystemClock
from town_sandbox.configuration import Place
from town_sandbox.counterpart import Counterpart, counterpart
from town_sandbox.faults import Faults
from town_sandbox.ledger import Ledger
from town_sandbox.mynaportal.desk import Desk, Filed
from town_sandbox.mynaportal.package import Attachment, Card, build_package
from town_sandbox.mynaportal.profile import Profile, sandbox_profile
from town_sandbox.mynaportal.webhook import Announcer

Handler = Callable[[Request], Awaitable[Response]]


class Portal:
    """The handlers of the portal."""

    def __init__(
        self, place: Place, desk: Desk, announcer: Announcer, cards: Callable[[str], Card], clock: Clock
    ) -> None:
        self.place = place
        self.desk = desk
        self.announcer = announcer
        self.cards = cards
        self.clock = clock
        self.profile: Profile = sandbox_profile()
        self._tokens: dict[str, datetime] = {}

    def error(self, status: int, code: str, message: str) -> Response:
        """A refusal in the portal's own shape."""
        names = self.profile.errors["body"]
        return JSONResponse({names["code"]: code, names["message"]: message}, status)

    def not_found(self) -> Response:
        """No such application."""
        return self.error(404, "E404", "該当する申請がありません。")

    def authenticated(self, handler: Handler) -> Handler:
        """Refuse a call without a token that is still good."""

        @wraps(handler)
        async def checked(request: Request) -> Response:
            expires = self._tokens.get(request.headers.get(self.profile.login.token_header, ""))
            if expires is None or expires <= self.clock.now():
                await self.desk.ledger.append("refused_token", path=request.url.path)
                return self.error(401, "E401", "認証トークンが無効です。")
            return await handler(request)

        return checked

    async def login(self, request: Request) -> Response:
        """ログイン: a token that expires."""
        body = await _json(request)
        names, issued = self.profile.login.request, self.place.credentials.portal
        good = hmac.compare_digest(str(body.get(names["login_id"])), issued.login_id)
        good &= hmac.compare_digest(str(body.get(names["password"])), issued.password)
        await self.desk.ledger.append("login", accepted=bool(good))
        if not good:
            return self.error(401, "E401", "利用者IDまたはパスワードが違います。")
        seconds = self.place.config.portal_token_seconds
        token, now = secrets.token_urlsafe(32), self.clock.now()
        self._tokens = {known: until for known, until in self._tokens.items() if until > now}
        self._tokens[token] = now + timedelta(seconds=seconds)
        answer = self.profile.login.response
        return JSONResponse({answer["token"]: token, answer["expires_in"]: seconds})

    async def list(self, request: Request) -> Response:
        """申請データ一覧取得: what was filed, in the order of arrival; a revision comes again at the end."""
        names = self.profile.list
        numbered = [(e["n"], e["receipt_no"], e["revision"]) for e in self.desk.ledger.find("application")]
        try:
            start = int(request.query_params.get(names.query["cursor"]) or 0)
            limit = int(request.query_params.get(names.query["limit"]) or self.place.config.portal_page_size)
        except ValueError:
            return self.error(400, "E400", "検索条件が正しくありません。")
        limit = max(1, min(limit, self.place.config.portal_page_size))
        page = [one for one in numbered if one[0] > start][:limit]
        items = [self._item(receipt_no) for _, receipt_no, revision in page if self._is_newest(receipt_no, revision)]
        await self.desk.ledger.append("listed", count=len(items), cursor=start)
        cursor = str(page[-1][0] if page else start)
        return JSONResponse({names.response["items"]: items, names.response["next_cursor"]: cursor})

    def _is_newest(self, receipt_no: str, revision: int) -> bool:
        return self.desk.filed[receipt_no].revision == revision

    def _item(self, receipt_no: str) -> dict[str, Any]:
        return {wire: getattr(self.desk.filed[receipt_no], ours) for ours, wire in self.profile.list.item.items()}

    async def get(self, request: Request) -> Response:
        """申請データ取得: the raw package, as it stands in its newest revision."""
        receipt_no = request.path_params["receipt_no"]
        try:
            package = await self.desk.package(receipt_no)
        except KeyError:
            return self.not_found()
        await self.desk.ledger.append("fetched", receipt_no=receipt_no)
        return Response(package, media_type=self.profile.get.media_type)

    async def push_status(self, request: Request) -> Response:
        """申請処理状況の更新: stored with its sequence, so that a repeat is known as one."""
        receipt_no, body = request.path_params["receipt_no"], await _json(request)
        if receipt_no not in self.desk.filed:
            return self.not_found()
        given = {ours: body.get(wire) for ours, wire in self.profile.status.request.items()}
        try:
            sequence, code = int(given["sequence"] or 0), _text(given["code"])
            occurred_at, message = _text(given["occurred_at"]), _text(given["message"])
        except (TypeError, ValueError):
            return self.error(400, "E400", "内容が正しくありません。")
        if code not in self.profile.status.codes:
            return self.error(400, "E400", "処理状況コードが正しくありません。")
        verdict = await self.desk.take_status(
            receipt_no, sequence=sequence, code=code, occurred_at=occurred_at, message=message
        )
        if verdict == "conflict":
            return self.error(409, "E409", "同じ処理状況番号で異なる内容が登録されています。")
        return JSONResponse({self.profile.status.response["repeated"]: verdict == "repeated"})

    async def citizen_files(self, request: Request) -> Response:
        """The citizen's side: answers, attachments and the name of a card; the device signs, the portal takes it."""
        body = await _json(request)
        try:
            attachments = [_attachment(given) for given in body.get("attachments", [])]
            card = self.cards(body["card"]) if body.get("card") else None
            code = body.get("municipality_code", self.place.config.municipality_code)
            package = build_package(
                self.profile,
                procedure_id=body["procedure_id"],
                procedure_title=body.get("procedure_title", "申請書"),
                municipality_code=code,
                signed_at=self.clock.now().astimezone(JST),
                answers=body["answers"],
                attachments=attachments,
                card=card,
            )
            filed = await self.desk.file(
                package, procedure_id=body["procedure_id"], municipality_code=code, revises=body.get("revises")
            )
        except (KeyError, TypeError, binascii.Error):
            return self.error(400, "E400", "申請の内容が正しくありません。")
        self.announcer.announce(filed.receipt_no)
        return JSONResponse({"receipt_no": filed.receipt_no, "submitted_at": filed.submitted_at}, 201)

    async def citizen_files_package(self, request: Request) -> Response:
        """A package built elsewhere (``?procedure_id=&municipality_code=``), as broken as its sender wants."""
        query = request.query_params
        filed = await self.desk.file(
            await request.body(),
            procedure_id=query.get("procedure_id", ""),
            municipality_code=query.get("municipality_code", self.place.config.municipality_code),
        )
        self.announcer.announce(filed.receipt_no)
        return JSONResponse({"receipt_no": filed.receipt_no, "submitted_at": filed.submitted_at}, 201)

    async def citizen_looks(self, request: Request) -> Response:
        """What the citizen sees of an application, for programs."""
        filed = self.desk.filed.get(request.path_params["receipt_no"])
        return JSONResponse(self._shown(filed)) if filed else self.not_found()

    async def citizen_page(self, request: Request) -> Response:
        """What the citizen sees of an application, as a page."""
        filed = self.desk.filed.get(request.path_params["receipt_no"])
        if filed is None:
            return HTMLResponse("<!doctype html><html lang=ja><p>該当する申請がありません。</p>", 404)
        shown = self._shown(filed)
        rows = "".join(
            f"<li><b>{html.escape(s['label'])}</b> {html.escape(s['occurred_at'])}<br>{html.escape(s['message'])}</li>"
            for s in shown["timeline"]
        )
        return HTMLResponse(
            "<!doctype html><html lang=ja><meta charset=utf-8><title>申請状況（模擬環境）</title>"
            f"<h1>申請状況：{html.escape(shown['label'])}</h1><p>受付番号 {html.escape(filed.receipt_no)}"
            f"（申請日時 {html.escape(filed.submitted_at)}）</p><ol>{rows}</ol>"
            "<p><small>この画面は模擬環境のものです。実際のマイナポータルではありません。</small></p>"
        )

    def _shown(self, filed: Filed) -> dict[str, Any]:
        timeline = [
            {
                "sequence": sequence,
                "state": status["code"],
                "label": self.profile.status.codes[status["code"]],
                "occurred_at": status["occurred_at"],
                "message": status["message"],
            }
            for sequence, status in sorted(filed.statuses.items())
        ]
        current = timeline[-1] if timeline else {"state": "sent", "label": "送信済"}
        return {
            "receipt_no": filed.receipt_no,
            "revision": filed.revision,
            "submitted_at": filed.submitted_at,
            "state": current["state"],
            "label": current["label"],
            "timeline": timeline,
        }


async def _json(request: Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError
    return value


def _attachment(given: dict[str, str]) -> Attachment:
    content = base64.b64decode(given["content"], validate=True)
    return Attachment(given["kind"], given["filename"], given["media_type"], content)


def create(place: Place, cards: Callable[[str], Card], clock: Clock | None = None) -> Counterpart:
    """The portal, its ledger in ``mynaportal.jsonl`` and its packages beside it.

    ``cards`` finds a virtual card by name (``KeyError`` for an unknown one).
    """
    clock = clock or SystemClock()
    ledger = Ledger(place.directory / "mynaportal.jsonl", clock)
    desk = Desk(ledger, place.directory / "packages", clock)
    profile = sandbox_profile()
    portal = Portal(place, desk, Announcer(place, profile, ledger, clock), cards, clock)
    routes = [
        Route(profile.login.path, portal.login, methods=[profile.login.method]),
        Route(profile.list.path, portal.authenticated(portal.list), methods=[profile.list.method]),
        Route(profile.get.path, portal.authenticated(portal.get), methods=[profile.get.method]),
        Route(profile.status.path, portal.authenticated(portal.push_status), methods=[profile.status.method]),
        Route("/_citizen/applications", portal.citizen_files, methods=["POST"]),
        Route("/_citizen/packages", portal.citizen_files_package, methods=["POST"]),
        Route("/_citizen/applications/{receipt_no}", portal.citizen_looks, methods=["GET"]),
        Route("/citizen/applications/{receipt_no}", portal.citizen_page, methods=["GET"]),
    ]
    return counterpart("mynaportal", routes, ledger, Faults())

"""住登外者宛名番号付番 over HTTP: path, fields, errors and answers are those of the published specification."""

from collections.abc import Sequence
from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse, Response

from town_kit.auth import VENDOR
from town_kit.idempotency import strict_json
from town_kit.problems import InvalidToken, PayloadTooLarge, Problem
from town_kit.routing import Actor, Audit, Begin, TownRouter
from town_kit.writing import touch
from town_standardization.addressees import register
from town_standardization.addressees.numbering import NumberingError, NumberingRequest, check
from town_standardization.addressees.numbering_items import ITEMS, SPECIFICATION, TITLE
from town_standardization.base import act_for
from town_standardization.ports import Wired

BUSINESS = "031"
MEDIA_TYPE = "application/json;charset=UTF-8"
BODY_LIMIT = 64 * 1024


def numbering_router(path: str) -> TownRouter:
    """The route at the configured APIコール名."""
    router = TownRouter(tags=["住登外者宛名番号管理"])

    def refuse(problem: Problem) -> Response:
        """A refusal in the specification's own form."""
        if isinstance(problem, InvalidToken):
            return _answer(path, 401, "アクセストークンが無効です。")
        if problem.status >= 500:
            return _answer(path, 503, "想定外のエラーが発生しました。")
        message = problem.detail or problem.title
        return _answer(path, problem.status, "エラーが発生しました。", [NumberingError("E0002", message)])

    @router.post(
        path,
        scope=f"{BUSINESS}:{path.lstrip('/')}:Create",
        roles=(VENDOR,),
        audit=Audit("addressee.number", basis="番号法9条", purpose="031 住登外者宛名番号管理"),
        official=SPECIFICATION,
        refusal=refuse,
        openapi_extra={"requestBody": {"required": True, "content": {"application/json": {"schema": _schema()}}}},
        response_class=JSONResponse,
    )
    async def number_addressee(request: Request, begin: Begin, actor: Actor, wired: Wired) -> Response:
        """住登外者宛名番号を付番し、登録する（公開されている仕様のとおり）。"""
        found = check(strict_json(await _body(request)))
        if not isinstance(found, NumberingRequest):
            return _answer(path, 400, "エラーが発生しました。", found)
        tx = await begin()
        await act_for(tx, BUSINESS)
        outcome = await register.register(tx, found, wired, actor)
        if isinstance(outcome, NumberingError):
            return _answer(path, 400, "エラーが発生しました。", [outcome])
        touch(tx, subjects=[one.person_id or one.id for one in outcome], fields=("addressee_number",))
        result = [_row(found, one.addressee_number, one.history_number, wired.municipality_code) for one in outcome]
        body = {
            "metadata": {"title": TITLE, "detail": "登録が完了しました。"},
            "_links": {"self": {"href": path}},
            "result": result,
        }
        return JSONResponse(body, media_type=MEDIA_TYPE)

    return router


async def _body(request: Request) -> bytes:
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > BODY_LIMIT:
            raise PayloadTooLarge("本文は64KBまでです。")
        chunks.append(chunk)
    return b"".join(chunks)


def _row(request: NumberingRequest, number: str, history: int, municipality_code: str) -> dict[str, Any]:
    return {
        "shikuchosonkodo": municipality_code,
        "atenabango": number,
        "rirekibango": history,
        "sosashaid": request.values["sosashaid"],
        "sosanengappi": request.values["sosanengappi"],
        "sosajikoku": request.values["sosajikoku"],
    }


def _answer(path: str, status: int, detail: str, errors: Sequence[NumberingError] = ()) -> Response:
    body: dict[str, Any] = {"title": TITLE, "detail": detail, "_links": {"self": {"href": path}}}
    if errors:
        body["errors"] = [{"code": error.code, "message": error.message} for error in errors]
    return JSONResponse(body, status, media_type=MEDIA_TYPE, headers={"Cache-Control": "no-store"})


def _schema() -> dict[str, Any]:
    """The request as JSON Schema, for the description."""
    return {
        "type": "object",
        "required": [item.name for item in ITEMS if item.always],
        "properties": {
            item.name: {
                "type": "string",
                "title": item.label,
                "maxLength": item.digits,
                "description": f"データ型 {item.kind}、{item.digits}桁",
            }
            for item in ITEMS
        },
    }

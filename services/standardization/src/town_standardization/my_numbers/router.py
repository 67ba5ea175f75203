"""Searching by My Number over HTTP: for 個人番号利用事務 by staff with two factors."""

from datetime import datetime

from sqlalchemy import text

from town_kit.auth import STAFF
from town_kit.jp import MyNumber
from town_kit.problems import FieldError, NotFound, ValidationFailed
from town_kit.routing import Actor, Audit, Begin, TownRouter
from town_kit.writing import touch
from town_standardization.my_numbers import service
from town_standardization.my_numbers.schemas import FoundAddressee, SearchRequest
from town_standardization.ports import Wired

router = TownRouter(prefix="/v1/my-number-searches", tags=["個人番号"])
_OWNER = text("SELECT addressee_number, coalesce(person_id, id) AS subject FROM addressees WHERE id = :id")
_PURPOSE = text("SELECT set_config('town.purpose', :purpose, true)")


@router.post(
    "",
    scope="my-numbers:search",
    roles=(STAFF,),
    two_factors=True,
    audit=Audit("my-number.search", basis="番号法9条", purpose="個人番号利用事務"),
    problems=(NotFound, ValidationFailed),
)
async def search_by_number(body: SearchRequest, begin: Begin, actor: Actor, wired: Wired) -> FoundAddressee:
    """個人番号から宛名番号を調べる。完全一致だけで、利用目的が監査記録に残ります。"""
    try:
        number = MyNumber.parse(body.my_number)
    except ValueError:
        wrong = FieldError("/my_number", "checksum", "個人番号に誤りがあります。12桁を確認してください。")
        raise ValidationFailed("個人番号を確認してください。", errors=[wrong]) from None
    tx = await begin()
    await tx.execute(_PURPOSE, {"purpose": body.purpose})
    holder = await service.holder_of(tx, wired.vault, number)
    if holder is None:
        raise NotFound("この個人番号の宛名はありません。番号を確認してください。")
    owner = (await tx.execute(_OWNER, {"id": holder})).one()
    touch(tx, subjects=[owner.subject], fields=("my_number",))
    now: datetime = wired.clock.now()
    opening = service.Opening(body.business_id, "番号法9条", body.purpose, ("/my_number",), (owner.subject,))
    await service.note_openings(tx, [opening], principal=actor, at=now)
    return FoundAddressee(addressee_number=owner.addressee_number, masked=number.masked())

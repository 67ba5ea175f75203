"""Reading free texts over HTTP: by staff of a 個人番号利用事務 with two factors, the number masked.

The portal cannot be refused, so a text with a number in it is encrypted to the vault whole (番号法20条: it may not be
collected there); here its rest is read, so that the application can be accepted.
"""

from uuid import UUID

from town_kit.auth import STAFF
from town_kit.jp import mask_my_numbers
from town_kit.problems import DependencyUnavailable, NotFound, StateConflict
from town_kit.routing import Actor, Audit, Begin, TownRouter
from town_kit.writing import touch
from town_standardization.free_texts.schemas import FreeText, FreeTexts, ReadRequest
from town_standardization.my_numbers import NumberRefused, Opening, note_openings
from town_standardization.ports import Wired

router = TownRouter(prefix="/v1/free-text-readings", tags=["自由記述の確認"])


@router.post(
    "",
    scope="free-texts:read",
    roles=(STAFF,),
    two_factors=True,
    audit=Audit("free-text.read", basis="番号法20条", purpose="自由記述の確認"),
    problems=(NotFound, StateConflict, DependencyUnavailable),
    keyless="it changes nothing, and an answer kept for a repeat would keep the text outside the vault",
)
async def read_free_texts(body: ReadRequest, begin: Begin, actor: Actor, wired: Wired) -> FreeTexts:
    """個人番号らしい数字があったため預かっている自由記述を、番号を伏せて読む。根拠と利用目的が監査記録に残ります。"""
    found = await wired.texts.sealed_texts(body.application_id)
    if found is None or not found["texts"]:
        raise NotFound("この申請に、預かっている自由記述はありません。申請の目印と識別子を確認してください。")
    persons = tuple(UUID(person) for person in found["persons"])
    fields = (str(body.application_id), *(text["pointer"] for text in found["texts"]))
    opening = Opening(found["business_id"], body.legal_basis, body.purpose, fields, persons)
    async with wired.database.begin(role=actor.role.value, principal=actor.id) as session:
        await note_openings(session, [opening], principal=actor, at=wired.clock.now(), result="begun")
    try:
        texts = [
            FreeText(pointer=text["pointer"], text=mask_my_numbers(wired.vault.open_text(text["jwe"])))
            for text in found["texts"]
        ]
    except NumberRefused:
        raise StateConflict("自由記述を開けません。申請者に電話で内容を確認してください。") from None
    touch(await begin(), subjects=persons, fields=fields)
    return FreeTexts(application_id=body.application_id, texts=texts)

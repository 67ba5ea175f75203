"""付番: giving a 住登外者 her number, or writing what is new under the number she has."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from town_kit.auth import Principal
from town_kit.clock import JST
from town_standardization import my_numbers
from town_standardization.addressees import repository
from town_standardization.addressees.models import Addressee
from town_standardization.addressees.numbering import NumberingError, NumberingRequest
from town_standardization.addressees.service import Described, find_or_number, write_history
from town_standardization.ports import Ports

BUSINESS = "031"
BASIS = "番号法 第9条第1項（住登外者の宛名管理）"
NEW, EXISTING, CHOSEN = "0", "1", "2"


async def register(
    session: AsyncSession, request: NumberingRequest, ports: Ports, principal: Principal
) -> list[Addressee] | NumberingError:
    """The addressees of a request: one that was numbered or written on.

    処理区分 0 gives a number (the one she has, where her 個人番号 or all of 基本4情報 are known); 1 registers somebody
    under a number she has, such as that of a former resident; 2 writes under a chosen candidate.
    """
    if request.values["shikuchosonkodo"] != ports.municipality_code:
        return NumberingError("E0002", "市区町村コードは本団体のコードで設定してください。")
    holder = await my_numbers.holder_of(session, ports.vault, request.number) if request.number else None
    given = ports.numbering.read(request.values["atenabango"]) if request.kind in (EXISTING, CHOSEN) else None
    found = await repository.by_number(session, given) if given else None
    if request.kind == CHOSEN and found is None:
        return NumberingError("E0002", "宛名番号は登録されている番号で設定してください。")
    if holder is not None and found is not None and holder != found.id:
        return NumberingError("E0002", "個人番号は宛名番号の本人の番号で設定してください。")
    target = None
    if request.values["nayosemotofuragu"] == "1":
        target = await repository.by_number(session, ports.numbering.read(request.values["nayosesakiatenabango"]))
        if target is None:
            return NumberingError("E0002", "名寄せ先宛名番号は登録されている番号で設定してください。")
    addressee = await _written(session, request, ports, found, given, holder)
    addressee.others_may_not_see = request.values["tagyomusanshofukafuragu"] == "1"
    if target is not None and target.id != addressee.id:
        addressee.merged_into = target.id
    if request.number is not None:
        await _keep_number(session, request, ports, principal, addressee)
    await session.flush()
    return [addressee]


async def _written(
    session: AsyncSession,
    request: NumberingRequest,
    ports: Ports,
    found: Addressee | None,
    given: str | None,
    holder: UUID | None,
) -> Addressee:
    at, operator = _operated_at(request), request.values["sosashaid"]
    if found is not None:
        attributes = {**found.attributes, **request.attributes()}
        if attributes != found.attributes:
            await write_history(session, found, attributes, operator_id=operator, at=at)
        return found
    described = Described(
        addressee_number=given,
        holder=holder,
        attributes=request.attributes(),
    )
    return await find_or_number(session, described, policy=ports.numbering, operator_id=operator, at=at)


async def _keep_number(
    session: AsyncSession, request: NumberingRequest, ports: Ports, principal: Principal, addressee: Addressee
) -> None:
    assert request.number is not None
    now = ports.clock.now()
    await my_numbers.deposit(
        session,
        ports.vault,
        request.number,
        addressee_id=addressee.id,
        business_id=BUSINESS,
        legal_basis=BASIS,
        at=now,
    )
    subject = addressee.person_id or addressee.id
    opening = my_numbers.Opening(BUSINESS, BASIS, "住登外者宛名番号の付番", ("/kojinbango",), (subject,))
    await my_numbers.note_openings(session, [opening], principal=principal, at=now)


def _operated_at(request: NumberingRequest) -> datetime:
    """操作年月日・操作時刻, in Japan."""
    written = f"{request.values['sosanengappi']}T{request.values['sosajikoku']}"
    return datetime.fromisoformat(written).replace(tzinfo=JST)

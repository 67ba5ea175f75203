"""HTTP to use cases and back."""

from typing import Annotated
from uuid import UUID

from fastapi import Query

from town_identity.persons import repository
from town_identity.persons.schemas import PersonView
from town_kit.auth import RESIDENT, SERVICE, STAFF
from town_kit.routing import Actor, Audit, TownRouter, Tx
from town_kit.writing import touch

AddresseeNumber = Annotated[str, Query(pattern=r"^[0-9A-Za-z]{1,15}$", description="宛名番号")]

router = TownRouter(prefix="/v1/persons", tags=["本人"])


@router.get(
    "",
    scope="persons:read",
    roles=(STAFF,),
    audit=Audit("person.find", basis="公的個人認証法17条", purpose="宛名番号による本人の特定"),
)
async def find_persons(addressee_number: AddresseeNumber, tx: Tx, actor: Actor) -> list[PersonView]:
    """宛名番号から本人を探す。いないときは空の一覧を返します。番号紐付がまだの人は見つかりません。"""
    found = await repository.of_number(tx, addressee_number, actor)
    touch(tx, subjects=[person.id for person in found], fields=("addressee_number",))
    return [PersonView.of(person) for person in found]


@router.get(
    "/{person_id}",
    scope="persons:read",
    roles=(RESIDENT, STAFF, SERVICE),
    audit=Audit("person.read", basis="公的個人認証法17条", purpose="本人の登録状態の確認"),
)
async def read_person(person_id: UUID, tx: Tx, actor: Actor) -> PersonView:
    """本人の登録状態を見る。"""
    person = await repository.one(tx, person_id, actor)
    touch(tx, subjects=[person.id], fields=("addressee_number",))
    return PersonView.of(person)

"""HTTP to use cases and back."""

from uuid import UUID

from town_identity.persons import repository
from town_identity.persons.schemas import PersonView
from town_kit.auth import RESIDENT, SERVICE, STAFF
from town_kit.routing import Actor, Audit, TownRouter, Tx
from town_kit.writing import touch

router = TownRouter(prefix="/v1/persons", tags=["本人"])


@router.get(
    "/{person_id}",
    scope="persons:read",
    roles=(RESIDENT, STAFF, SERVICE),
    audit=Audit("person.read", basis="公的個人認証法17条"),
)
async def read_person(person_id: UUID, tx: Tx, actor: Actor) -> PersonView:
    """本人の登録状態を見る。"""
    person = await repository.one(tx, person_id, actor)
    touch(tx, subjects=[person.id], fields=("addressee_number",))
    return PersonView.of(person)

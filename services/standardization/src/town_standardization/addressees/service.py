"""Finding the addressee of a person, or giving her a number first."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from town_kit.ids import new_id
from town_standardization.addressees import repository
from town_standardization.addressees.domain import NumberPolicy, four_key
from town_standardization.addressees.models import Addressee, AddresseeHistory


@dataclass(frozen=True, slots=True)
class Described:
    """A person as somebody describes her; what is not known stays null.

    Attributes:
        person_id: her id at identity.
        addressee_number: the 宛名番号 that identity or a core system knows.
        holder: the addressee whose 個人番号 she has given.
        attributes: name, name_kana, birth_date (raw), sex, address (one line) and what else is known.
    """

    person_id: UUID | None = None
    addressee_number: str | None = None
    holder: UUID | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)


async def find_or_number(
    session: AsyncSession,
    described: Described,
    *,
    policy: NumberPolicy,
    operator_id: str,
    at: datetime,
    resident: bool = False,
    match_by_four: bool = True,
) -> Addressee:
    """The addressee of a person; she gets a 宛名番号 first where she has none.

    Looked for by 個人番号, by person, by 宛名番号, and last by all of 基本4情報 with their history, where exactly one
    addressee fits. Nothing less than all four is taken for the same person: joining two people is worse than a second
    number, which 名寄せ can link later. New facts become a new 履歴番号.
    """
    found = await _find(session, described, policy, match_by_four)
    if found is None:
        return await _number(session, described, policy, operator_id, at, resident)
    if found.person_id is None and described.person_id is not None:
        found.person_id = described.person_id
    facts = {name: value for name, value in described.attributes.items() if value not in (None, "")}
    if any(found.attributes.get(name) != value for name, value in facts.items()):
        await write_history(session, found, {**found.attributes, **facts}, operator_id=operator_id, at=at)
    return found


async def write_history(
    session: AsyncSession, addressee: Addressee, attributes: Mapping[str, Any], *, operator_id: str, at: datetime
) -> None:
    """Write what is known now as the next 履歴番号."""
    addressee.history_number += 1
    addressee.version += 1
    addressee.attributes = dict(attributes)
    addressee.four_key = four_key(attributes)
    addressee.operated_at = at
    session.add(_history(addressee, operator_id))
    await session.flush()


async def _find(
    session: AsyncSession, described: Described, policy: NumberPolicy, match_by_four: bool
) -> Addressee | None:
    if described.holder is not None:
        return await repository.by_id(session, described.holder)
    if described.person_id is not None:
        found = await repository.by_person(session, described.person_id)
        if found is not None:
            return found
    if described.addressee_number is not None:
        return await repository.by_number(session, policy.read(described.addressee_number))
    key = four_key(described.attributes) if match_by_four else None
    candidates = await repository.by_four(session, key) if key else []
    if len(candidates) != 1 or _told_apart(candidates[0].person_id, described.person_id):
        return None
    return candidates[0]


def _told_apart(one: UUID | None, other: UUID | None) -> bool:
    """Whether identity knows these as two persons."""
    return one is not None and other is not None and one != other


async def _number(
    session: AsyncSession, described: Described, policy: NumberPolicy, operator_id: str, at: datetime, resident: bool
) -> Addressee:
    number, integrated = await repository.next_numbers(session, policy)
    given = described.addressee_number
    addressee = Addressee(
        id=new_id(),
        version=1,
        event_sequence=0,
        addressee_number=policy.read(given) if given else number,
        integrated_number=integrated,
        resident=resident or given is not None,
        person_id=described.person_id,
        history_number=1,
        attributes=dict(described.attributes),
        four_key=four_key(described.attributes),
        others_may_not_see=False,
        operated_at=at,
    )
    session.add(addressee)
    await session.flush()
    session.add(_history(addressee, operator_id))
    await session.flush()
    return addressee


def _history(addressee: Addressee, operator_id: str) -> AddresseeHistory:
    return AddresseeHistory(
        addressee_id=addressee.id,
        history_number=addressee.history_number,
        attributes=addressee.attributes,
        four_key=addressee.four_key,
        operator_id=operator_id,
        operated_at=addressee.operated_at,
    )

"""Use cases of the vault: deposit, search, and the audit record of every opening."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from town_kit import telemetry
from town_kit.audit import record
from town_kit.auth import Principal
from town_kit.ids import new_id
from town_kit.jp import MyNumber
from town_standardization.my_numbers import repository
from town_standardization.my_numbers.errors import NumberConflict
from town_standardization.my_numbers.models import StoredNumber
from town_standardization.my_numbers.vault import Vault


@dataclass(frozen=True, slots=True)
class Opening:
    """An opening: for which business, on what basis, what stood where, whose it is (as far as known)."""

    business_id: str
    legal_basis: str
    purpose: str
    fields: tuple[str, ...]
    subjects: tuple[UUID, ...] = ()


async def note_openings(
    session: AsyncSession, openings: Iterable[Opening], *, principal: Principal, at: datetime, result: str = "done"
) -> None:
    """One audit record for each opening (アクセス記録), in this transaction.

    With the result ``begun`` it is committed before anything is opened: whatever becomes of the work, the opening
    stands in the trail. ``done`` names each number with its person, in the transaction of the work itself.
    """
    await record.insert(
        session,
        [
            record.audit_row(
                action="my-number.open",
                basis=opening.legal_basis,
                purpose=f"{opening.business_id} {opening.purpose}",
                principal=principal,
                subjects=opening.subjects,
                fields=opening.fields,
                result=result,
                at=at,
                trace_id=telemetry.current_trace_id(),
            )
            for opening in openings
        ],
    )


async def holder_of(session: AsyncSession, vault: Vault, number: MyNumber) -> UUID | None:
    """The addressee whose number this is; exact match by the index."""
    found = await repository.by_digest(session, vault.digest(number))
    return found.addressee_id if found else None


async def deposit(
    session: AsyncSession,
    vault: Vault,
    number: MyNumber,
    *,
    addressee_id: UUID,
    business_id: str,
    legal_basis: str,
    at: datetime,
) -> UUID:
    """Keep a number for an addressee and answer its reference; a number kept before keeps its reference.

    Raises:
        NumberConflict: the number is another addressee's, or the addressee has another number.
    """
    digest = vault.digest(number)
    found = await repository.by_digest(session, digest)
    if found is not None:
        if found.addressee_id != addressee_id:
            raise NumberConflict("個人番号と宛名番号の対応を確認してください。")
        return found.id
    if await repository.of_addressee(session, addressee_id) is not None:
        raise NumberConflict("個人番号の変更の手続きを先に行ってください。")
    row = new_id()
    wrapped, sealed = vault.seal(row, number)
    session.add(
        StoredNumber(
            id=row,
            addressee_id=addressee_id,
            digest=digest,
            wrapped_key=wrapped,
            sealed=sealed,
            business_id=business_id,
            legal_basis=legal_basis,
            deposited_at=at,
        )
    )
    await session.flush()
    return row

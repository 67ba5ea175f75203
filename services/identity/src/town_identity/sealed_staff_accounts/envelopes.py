"""What is done with envelopes at a desk: seal, open for a while, unlock, look at uses, withdraw. Each is audited."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from town_identity.ports import Ports
from town_identity.sealed_staff_accounts import credentials, repository
from town_identity.sealed_staff_accounts.credentials import Envelope
from town_identity.sealed_staff_accounts.domain import LONGEST_OPENING
from town_identity.sealed_staff_accounts.models import SealedStaffAccount
from town_identity.sealed_staff_accounts.service import BASIS
from town_kit import telemetry
from town_kit.audit import record
from town_kit.ids import new_id


class CannotSeal(ValueError):
    """What was asked of an envelope is not possible; the message says why, in Japanese."""


async def seal(ports: Ports, label: str, groups: Sequence[str], by: str) -> Envelope:
    """Make an account with the scopes of ``groups``; the envelope is to be printed now, or never.

    Raises:
        CannotSeal: a group gives no scope.
    """
    unknown = sorted(set(groups) - set(ports.scopes.staff))
    if unknown or not groups:
        raise CannotSeal(f"権限のグループは次から選んでください: {', '.join(sorted(ports.scopes.staff))}")
    envelope, account_id, now = credentials.new_envelope(), new_id(), ports.clock.now()
    account = SealedStaffAccount(
        id=account_id,
        username=envelope.username,
        label=label,
        groups=sorted(set(groups)),
        password_hash=credentials.hash_password(envelope.password),
        otp_secret_sealed=ports.sealer.seal(envelope.secret, account_id.bytes),
        last_step=0,
        sealed_at=now,
        sealed_by=by,
        broken_at=None,
        opened_until=None,
        opened_by=None,
        withdrawn_at=None,
    )
    async with ports.database.begin() as session:
        session.add(account)
        await _audited(session, ports, "seal", account_id)
    return envelope


async def seal_again(ports: Ports, username: str, by: str) -> Envelope:
    """Fresh secrets for an account; the old envelopes are worthless from now on.

    Raises:
        CannotSeal: there is no such account.
    """
    async with ports.database.begin() as session:
        account = await _account(session, username)
        envelope = credentials.new_envelope(account.username)
        account.password_hash = credentials.hash_password(envelope.password)
        account.otp_secret_sealed = ports.sealer.seal(envelope.secret, account.id.bytes)
        account.sealed_at, account.sealed_by, account.last_step = ports.clock.now(), by, 0
        account.broken_at = account.opened_until = account.opened_by = None
        await repository.forget_tries(session, _digest(ports, account.username))
        await _audited(session, ports, "seal", account.id)
    return envelope


async def open_for(ports: Ports, username: str, time: timedelta, by: str) -> None:
    """Let an account be used for ``time`` although the directory answers.

    Raises:
        CannotSeal: there is no such account, or that is too long.
    """
    if not timedelta(0) < time <= LONGEST_OPENING:
        raise CannotSeal(f"開けておけるのは {LONGEST_OPENING // timedelta(minutes=1)} 分までです。")
    async with ports.database.begin() as session:
        account = await _account(session, username)
        account.opened_until, account.opened_by = ports.clock.now() + time, by
        await _audited(session, ports, "open", account.id)


async def unlock(ports: Ports, username: str) -> None:
    """Begin to count tries anew.

    Raises:
        CannotSeal: there is no such account.
    """
    async with ports.database.begin() as session:
        account = await _account(session, username)
        await repository.forget_tries(session, _digest(ports, account.username))
        await _audited(session, ports, "unlock", account.id)


async def withdraw(ports: Ports, username: str) -> None:
    """Close an account for ever.

    Raises:
        CannotSeal: there is no such account.
    """
    async with ports.database.begin() as session:
        account = await _account(session, username)
        account.withdrawn_at = ports.clock.now()
        await _audited(session, ports, "withdraw", account.id)


async def review(ports: Ports, use: UUID, by: str, note: str) -> None:
    """Write down that somebody looked at a use.

    Raises:
        CannotSeal: there is no such use, or somebody has looked at it.
    """
    async with ports.database.begin() as session:
        if not await repository.review(session, use, by, note, ports.clock.now()):
            raise CannotSeal("確認を待つその開封の記録はありません。")
        await _audited(session, ports, "review", None)


async def _account(session: AsyncSession, username: str) -> SealedStaffAccount:
    account = await repository.account_of(session, credentials.as_read(username), lock=True)
    if account is None:
        raise CannotSeal("その封印アカウントはありません。")
    return account


def _digest(ports: Ports, username: str) -> bytes:
    return ports.sealer.digest("sealed staff account", username)


async def _audited(session: AsyncSession, ports: Ports, verb: str, account: UUID | None) -> None:
    row = record.audit_row(
        action=f"sealed-staff-account.{verb}",
        basis=BASIS,
        purpose="職員認証の管理",
        principal=None,
        subjects=[account] if account else (),
        fields=(),
        result="done",
        at=ports.clock.now(),
        trace_id=telemetry.current_trace_id(),
    )
    await session.flush()
    await record.insert(session, [row])

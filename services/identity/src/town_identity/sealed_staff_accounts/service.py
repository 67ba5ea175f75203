"""Use cases of 封印アカウント: signing in with what stood in the envelopes."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from town_identity.ports import Ports
from town_identity.sealed_staff_accounts import credentials, repository
from town_identity.sealed_staff_accounts.domain import Purpose
from town_identity.sealed_staff_accounts.errors import SealedStaffAccountClosed, SealedStaffAccountLocked
from town_identity.sealed_staff_accounts.models import SealedStaffAccount, SealedStaffAccountUse
from town_identity.staff_sessions import away_since
from town_kit import telemetry
from town_kit.audit import record
from town_kit.auth import STAFF, Principal
from town_kit.db import Database
from town_kit.ids import new_id
from town_kit.problems import InvalidToken, RateLimited, StateConflict
from town_kit.service import Job

log = structlog.get_logger(__name__)
CLIENT_ID = "sealed-staff"
AMR = ("pwd", "otp", "mfa")
ACTION = "sealed-staff-account.break"
BASIS = "個人情報保護法66条"
KEEP_TRIES = timedelta(days=30)
DIRECTORY_AWAY, OPENED = "directory-away", "opened"
_WRONG = "ユーザー名、パスワード、6 桁の番号のどれかが違います。封筒をもう一度確かめてください。"


@dataclass(frozen=True, slots=True)
class Opened:
    """An envelope that was opened rightly; the use is written down, the token not yet made."""

    use_id: UUID
    account_id: UUID
    scopes: frozenset[str]
    usable_until: datetime


async def open_envelope(ports: Ports, username: str, password: str, code: str, purpose: Purpose, reason: str) -> Opened:
    """Check both factors and write down the use, in transactions of their own: what follows may die, this stays.

    Raises:
        SealedStaffAccountClosed: the directory answers, and nobody opened the account.
        RateLimited, SealedStaffAccountLocked: too many tries in a row.
        InvalidToken: a factor is wrong; which one is not told.
        StateConflict: the code was used before, or the envelope was opened too long ago.
    """
    name, now = credentials.as_read(username), ports.clock.now()
    because = await _door(ports, name, now)
    digest = ports.sealer.digest("sealed staff account", name)
    await _count_try(ports, digest, now)
    async with ports.database.begin() as session:
        account = await repository.account_of(session, name)
    matches = await credentials.password_matches(password, account.password_hash if account else None)
    step = credentials.step_of_code(code, _secret(ports, account), now) if account else None
    if account is None or not matches or step is None:
        telemetry.count("sealed_staff_sign_ins", outcome="refused")
        raise InvalidToken(_WRONG)
    async with ports.database.begin() as session:
        opened = await _break_seal(session, ports, account, step, because, purpose, reason)
        await repository.forget_tries(session, digest)
    telemetry.count("sealed_staff_sign_ins", outcome="done")
    log.warning("sealed_staff_account_opened", account=str(account.id), use=str(opened.use_id), because=because)
    return opened


async def _door(ports: Ports, username: str, now: datetime) -> str:
    """Why the account may be used now."""
    since = await away_since(ports.database, ports.staff, ports.clock) if ports.staff else None
    longest = timedelta(seconds=ports.settings.directory_away_seconds)
    if since is not None and now - since >= longest:
        return DIRECTORY_AWAY
    async with ports.database.begin() as session:
        account = await repository.account_of(session, username)
    if account is not None and account.opened_until is not None and account.opened_until > now:
        return OPENED
    if since is not None:
        wait = int((longest - (now - since)).total_seconds()) + 1
        raise SealedStaffAccountClosed(
            f"職員認証システムが応答しませんが、まだ短時間です。{wait} 秒待ってから、もう一度お試しください。",
            retry_after=wait,
        )
    raise SealedStaffAccountClosed("職員認証システムが使えます。いつもの職員ログインを使ってください。")


async def _count_try(ports: Ports, digest: bytes, now: datetime) -> None:
    async with ports.database.begin() as session:
        wait = await repository.count_try(session, digest, now)
    if wait is None:
        telemetry.count("sealed_staff_sign_ins", outcome="locked")
        raise SealedStaffAccountLocked("失敗が続いたため使えません。システム担当に解錠を頼んでください。")
    if wait:
        seconds = int(wait.total_seconds()) + 1
        raise RateLimited(f"{seconds} 秒待ってから、もう一度お試しください。", retry_after=seconds)


def _secret(ports: Ports, account: SealedStaffAccount) -> bytes:
    return ports.sealer.open(account.otp_secret_sealed, account.id.bytes)


async def _break_seal(
    session: AsyncSession,
    ports: Ports,
    seen: SealedStaffAccount,
    step: int,
    because: str,
    purpose: Purpose,
    reason: str,
) -> Opened:
    account, now = await repository.account_of(session, seen.username, lock=True), ports.clock.now()
    if account is None or account.password_hash != seen.password_hash:
        raise InvalidToken(_WRONG)  # sealed anew or withdrawn meanwhile
    if step <= account.last_step:
        raise StateConflict("この番号は使用済みです。認証アプリの次の番号を待って、入力してください。")
    broken_at = account.broken_at or now
    usable_until = broken_at + timedelta(hours=ports.settings.sealed_account_hours)
    if usable_until <= now:
        raise StateConflict("この封筒は開封から時間がたちました。別の封筒を使うか、封印し直してください。")
    account.last_step, account.broken_at = step, broken_at
    use = SealedStaffAccountUse(
        id=new_id(),
        account_id=account.id,
        purpose=purpose.value,
        reason=reason,
        because=because,
        intended_at=now,
        issued_at=None,
        reviewed_at=None,
        reviewed_by=None,
        note=None,
    )
    session.add(use)
    scopes = ports.scopes.of_staff(account.groups)
    row = record.audit_row(
        action=ACTION,
        basis=BASIS,
        purpose=purpose.text,
        principal=Principal(account.id, STAFF, CLIENT_ID, scopes, AMR),
        subjects=(),
        fields=(),
        result="done",
        at=now,
        trace_id=telemetry.current_trace_id(),
    )
    await session.flush()
    await record.insert(session, [row])
    return Opened(use.id, account.id, scopes, usable_until)


async def watch(database: Database, now: datetime) -> int:
    """Tell the broken seals and the uses nobody has looked at, and forget tries of long ago; answers 0."""
    async with database.begin() as session:
        await repository.forget_tries_before(session, now - KEEP_TRIES)
        broken, unreviewed = await repository.counts(session)
    telemetry.gauge("sealed_staff_accounts_broken", broken)
    telemetry.gauge("sealed_staff_account_uses_unreviewed", unreviewed)
    return 0


def watch_job(ports: Ports) -> Job:
    """The worker's job."""
    return Job("sealed-staff-accounts.watch", timedelta(minutes=1), lambda: watch(ports.database, ports.clock.now()))

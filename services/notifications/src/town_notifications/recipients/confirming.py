"""Mailing confirmation codes; the row is the intent, the worker carries it out."""

from datetime import timedelta
from uuid import UUID, uuid5

from sqlalchemy import select, update

from town_kit.clock import Clock
from town_kit.db import Database
from town_kit.service import exclusive
from town_notifications.channels import Channel, Lane, Outgoing, Verdict
from town_notifications.languages import Language
from town_notifications.ports import Ports
from town_notifications.recipients.domain import CODE_LIFETIME, ContactPointState, confirmation_code
from town_notifications.recipients.models import ContactPoint, Preference
from town_notifications.templates import shared_texts

BATCH = 20
RETRY_AFTER = (
    timedelta(seconds=2),
    timedelta(seconds=10),
    timedelta(seconds=30),
    timedelta(minutes=2),
    timedelta(minutes=5),
)


async def send_codes(wired: Ports) -> int:
    """Mail the codes that wait; answers how many were tried.

    The due time is moved before the mail goes (a lease, not a mark): a worker that dies sends the same code again.
    """
    channel = wired.lanes[Lane.ORDINARY].get(Channel.EMAIL)
    if channel is None:
        return 0
    rows = await _due(wired.database, wired.clock)
    for point, language in rows:
        outcome = await channel.send(_mail(wired, point, language))
        if outcome.verdict is not Verdict.RETRY:
            await _settle(wired.database, point, gone=outcome.verdict is Verdict.GONE)
    return len(rows)


async def _due(database: Database, clock: Clock) -> list[tuple[ContactPoint, Language]]:
    now = clock.now()
    async with database.begin() as session:
        if not await exclusive(session, "recipients.confirming"):
            return []
        query = (
            select(ContactPoint, Preference.language)
            .outerjoin(Preference, Preference.person_id == ContactPoint.person_id)
            .where(ContactPoint.code_due_at <= now)
            .order_by(ContactPoint.code_due_at)
            .limit(BATCH)
            .with_for_update(of=ContactPoint, skip_locked=True)
        )
        rows = [(row[0], Language(row[1] or Language.JA)) for row in (await session.execute(query)).all()]
        for point, _ in rows:
            over = point.code_tries >= len(RETRY_AFTER) or now - point.issued_at > CODE_LIFETIME
            point.code_due_at = None if over else now + RETRY_AFTER[point.code_tries]
            point.code_tries += 1
    return rows


def code_mail_id(point: UUID, issue: int) -> UUID:
    """The id of the mail with a code; another code is another mail."""
    return uuid5(point, str(issue))


def _mail(wired: Ports, point: ContactPoint, language: Language) -> Outgoing:
    texts = shared_texts()
    town = wired.town.name(language)
    code = confirmation_code(wired.code_key, point.id, point.issue)
    body = texts.confirmation_body[language].format(code=code)
    mail_id = code_mail_id(point.id, point.issue)
    return Outgoing(
        delivery_id=mail_id,
        message_id=mail_id,
        address=point.address,
        title=texts.confirmation_title[language].format(town=town),
        body=f"{body}\n\n-- \n{texts.mail_footer[language].format(town=town)}\n",
        valid_until=point.issued_at + CODE_LIFETIME,
        urgent=False,
    )


async def _settle(database: Database, point: ContactPoint, *, gone: bool) -> None:
    async with database.begin() as session:
        values = {"code_due_at": None} | ({"state": ContactPointState.BOUNCED.value} if gone else {})
        same = (ContactPoint.id == point.id, ContactPoint.issue == point.issue, ContactPoint.state == "pending")
        await session.execute(update(ContactPoint).where(*same).values(**values))

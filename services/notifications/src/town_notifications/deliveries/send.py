"""Carrying deliveries out: claim, send, mark; never mark before sending.

The claim is a lease, not a mark: a worker that dies leaves it to run out, and the next one sends the same id again. A
batch is as large as what the channel has in flight, so that a kill repeats no more than that.
"""

import asyncio
import random
from collections.abc import Sequence
from datetime import datetime

import structlog

from town_kit.failpoints import failpoint
from town_notifications.channels import Channel, ChannelAdapter, Lane, Outcome, Outgoing, Verdict
from town_notifications.deliveries import repository
from town_notifications.deliveries.domain import Decision, State, decide
from town_notifications.deliveries.repository import Claimed, Mark
from town_notifications.languages import Language
from town_notifications.messages import Reason, hand_over, locked, overdue, settle
from town_notifications.ports import Ports
from town_notifications.recipients import Target, drop_target
from town_notifications.templates import Unreached, fill, shared_texts

log = structlog.get_logger(__name__)

EMERGENCY_PUSH_LENGTH = 500  # characters; FCM takes 4,096 bytes in all
HAND_OVER_BATCH = 100


async def send_batch(wired: Ports, lane: Lane, channel: Channel) -> int:
    """Carry out the next deliveries of one channel in one lane; answers how many."""
    adapter = wired.lanes[lane].get(channel)
    if adapter is None:
        return 0
    now = wired.clock.now()
    async with wired.database.begin() as session:
        claimed = await repository.claim(session, lane=lane, channel=channel, limit=adapter.at_once, now=now)
    if not claimed:
        return 0
    outcomes = await asyncio.gather(*(_attempt(wired, adapter, lane, one, now) for one in claimed))
    failpoint("after-send-before-mark", channel)
    await _mark(wired, lane, list(zip(claimed, outcomes, strict=True)))
    return len(claimed)


async def hand_over_overdue(wired: Ports) -> int:
    """Give messages nobody could bring in time to staff, or let them expire; answers how many."""
    now = wired.clock.now()
    async with wired.database.begin() as session:
        messages = await overdue(session, now=now, limit=HAND_OVER_BATCH)
        for message in messages:
            hand_over(session, message, Reason.EXPIRING, at=now)
        over = {m.id for m in messages if m.unreached == Unreached.EXPIRE}
        listed = [m.id for m in messages if m.id not in over]
        await repository.cancel_queued(session, listed, State.HANDED_TO_STAFF, at=now)
        await repository.cancel_queued(session, list(over), State.EXPIRED, at=now)
    return len(messages)


async def _attempt(
    wired: Ports, adapter: ChannelAdapter, lane: Lane, one: Claimed, now: datetime
) -> Outcome | Decision:
    """One attempt, or the reason why none is made."""
    if one.sent_before:
        return Decision(State.SENT, "before-restore")
    if one.read_at is not None and lane is Lane.ORDINARY:
        return Decision(State.CANCELLED, "read")
    if now >= one.valid_until:
        return Decision(State.EXPIRED, "over")
    if one.address is None:
        return Decision(State.FAILED, "unregistered")
    try:
        return await adapter.send(_outgoing(wired, lane, one, one.address))
    except ValueError:  # it cannot be written down for this channel; the others must not wait for it
        log.warning("delivery_impossible", channel=one.channel, delivery=str(one.id))
        return Outcome(Verdict.FAILED, "impossible")


def _outgoing(wired: Ports, lane: Lane, one: Claimed, address: str) -> Outgoing:
    language = Language(one.language)
    town = {"town": wired.town.name(language)}
    texts = shared_texts()
    urgent = lane is Lane.EMERGENCY
    if one.channel is Channel.EMAIL:
        title, body = one.title, f"{one.body.rstrip()}\n\n-- \n{fill(texts.mail_footer[language], town)}\n"
    elif urgent:
        title, body = one.title, _shortened(one.body)
    else:
        title, body = fill(texts.push[language].title, town), fill(texts.push[language].body, town)
    return Outgoing(
        delivery_id=one.id,
        message_id=one.message_id,
        address=address,
        title=title,
        body=body,
        valid_until=one.valid_until,
        urgent=urgent,
        application_id=one.application_id,
    )


async def _mark(wired: Ports, lane: Lane, results: Sequence[tuple[Claimed, Outcome | Decision]]) -> None:
    now = wired.clock.now()
    marks = []
    for one, result in results:
        decision = result if isinstance(result, Decision) else _decision(result, one, lane, now)
        provider_id = result.provider_id if isinstance(result, Outcome) else None
        marks.append(Mark(one.id, one.tries, decision.state, decision.code, provider_id, decision.next_attempt_at))
    gone = [one for one, result in results if isinstance(result, Outcome) and result.verdict is Verdict.GONE]
    ended = sorted({one.message_id for (one, _), m in zip(results, marks, strict=True) if m.state != State.QUEUED})
    async with wired.database.begin() as session:
        await repository.mark(session, marks, now=now)
        for one in gone:
            await drop_target(session, Target(one.target_id, one.channel))
        if ended:
            messages = await locked(session, ended)
            summaries = await repository.summaries(session, ended)
            for message in messages:
                sent_by, pending = summaries[message.id]
                settle(session, message, sent_by=sent_by, pending=pending, at=now)


def _decision(outcome: Outcome, one: Claimed, lane: Lane, now: datetime) -> Decision:
    jitter = random.uniform(0.8, 1.2)  # noqa: S311 - spreads attempts, keeps no secret
    return decide(outcome, tries=one.tries, lane=lane, now=now, valid_until=one.valid_until, jitter=jitter)


def _shortened(body: str) -> str:
    return body if len(body) <= EMERGENCY_PUSH_LENGTH else body[: EMERGENCY_PUSH_LENGTH - 1] + "…"

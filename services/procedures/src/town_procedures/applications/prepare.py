"""What can be repeated, before the transaction: who may send what, the folder's checks, the signature, the vault."""

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from town_kit.auth import Principal, Role
from town_kit.clock import japan_date
from town_kit.problems import FieldError, SignatureInvalid, ValidationFailed
from town_procedures import attachments
from town_procedures.applications import submit
from town_procedures.applications.domain import Channel
from town_procedures.applications.errors import ProcedureUnknown
from town_procedures.applications.signer import SignatureFacts
from town_procedures.catalogue import AttachedFile, Procedure
from town_procedures.ports import Ports

BY_STAFF = frozenset({Channel.COUNTER, Channel.PAPER, Channel.PHONE, Channel.VISIT})
"""Ways by which staff take an application in; the portal's comes by the connector's door, the app's by a resident."""
CHECK = "入力内容を確認してください。"


@dataclass(frozen=True, slots=True)
class Filing:
    """What somebody sends in: files by id and SHA-256; channel, parties and stamp are for staff alone."""

    procedure_code: str
    answers: Mapping[str, Any]
    attachments: Mapping[UUID, str]
    signature: str | None
    channel: Channel | None
    parties: Sequence[submit.Party]
    received_at: datetime | None


async def prepare(filing: Filing, actor: Principal, wired: Ports, now: datetime) -> submit.Submission:
    """A submission ready to be recorded.

    What a clerk stamped (受付印) is judged by the day of the stamp; a signature always by ``now``, when
    the first trusted system had it.

    Raises:
        ProcedureUnknown: nobody may file it, or not by the app.
        ValidationFailed: a field, a file or the channel is not what the folder and the caller's role allow.
        SignatureInvalid: there is none where one is needed, or it cannot be read.
        Problem: identity's refusal of the signature (``jpki-*``).
    """
    _refuse_fields(filing, actor, now)
    procedure = wired.catalogue.get(filing.procedure_code)
    if procedure is None:
        raise ProcedureUnknown("手続コードを確認してください。")
    channel = _channel(filing, procedure, actor)
    documents = await _documents(filing, actor, wired)
    received_at = filing.received_at or now
    on = japan_date(received_at)
    errors = procedure.validate(filing.answers, attachments=[_file(d) for d in documents], on=on)
    if errors:
        raise ValidationFailed(CHECK, errors=errors)
    hashes = [d.sha256 for d in documents]
    facts = await _signature(filing, procedure, hashes, actor, wired, now)
    answers, numbers = submit.seal_numbers(procedure, filing.answers, wired.vault)
    return submit.Submission(
        procedure=procedure,
        answers=answers,
        my_numbers=numbers,
        parties=_parties(filing, procedure, actor, facts, on),
        channel=channel,
        source="app" if actor.role is Role.RESIDENT else "counter",
        receipt_no=None,
        received_at=received_at,
        documents=documents,
        signature=facts,
        content_digest=submit.content_digest(filing.answers, hashes, wired.digest_key),
        filed_by=actor.id,
        actor_role=actor.role.value,
        client_id=actor.client_id if actor.role is Role.RESIDENT else None,
    )


def _refuse_fields(filing: Filing, actor: Principal, now: datetime) -> None:
    given = {"parties": bool(filing.parties), "channel": filing.channel is not None, "received_at": filing.received_at}
    if actor.role is Role.RESIDENT:
        errors = [
            FieldError(f"/{name}", "staff-only", "この項目は職員だけが送れます。外してください。")
            for name, is_given in given.items()
            if is_given
        ]
    else:
        errors = [] if filing.parties else [FieldError("/parties", "missing", "当事者を入力してください。")]
        if filing.received_at is not None and filing.received_at > now:
            errors.append(FieldError("/received_at", "future", "受付印の日時が先の日時です。日時を確認してください。"))
    if errors:
        raise ValidationFailed(CHECK, errors=errors)


def _channel(filing: Filing, procedure: Procedure, actor: Principal) -> Channel:
    if actor.role is Role.RESIDENT:
        if Channel.APP not in procedure.channels:
            raise ProcedureUnknown("この手続きはアプリでは受け付けていません。役場の窓口にお問い合わせください。")
        return Channel.APP
    channel = filing.channel or Channel.COUNTER
    if channel not in BY_STAFF or channel not in procedure.channels:
        raise ValidationFailed(
            CHECK,
            errors=[FieldError("/channel", "channel", "この手続きを職員が受け付けられる経路から選んでください。")],
        )
    return channel


async def _documents(filing: Filing, actor: Principal, wired: Ports) -> list[submit.DocumentRef]:
    named = filing.attachments
    if not named:
        return []
    found = await attachments.find(wired.database, named, actor, key=wired.digest_key)
    return [submit.DocumentRef(a.kind, a.blob_id, a.media_type, a.size, named[a.id], attachment_id=a.id) for a in found]


def _file(document: submit.DocumentRef) -> AttachedFile:
    return AttachedFile(document.kind, document.media_type, document.size)


async def _signature(
    filing: Filing, procedure: Procedure, hashes: Sequence[str], actor: Principal, wired: Ports, now: datetime
) -> SignatureFacts | None:
    if filing.signature is not None:
        content = submit.signed_content(filing.procedure_code, filing.answers, hashes)
        return await wired.signatures.verify(
            digests=submit.digests(content), cms=_base64(filing.signature), received_at=now
        )
    if procedure.requires_signature and actor.role is Role.RESIDENT:
        raise SignatureInvalid("マイナンバーカードで署名してから送ってください。")
    return None


def _parties(
    filing: Filing, procedure: Procedure, actor: Principal, facts: SignatureFacts | None, on: date
) -> list[submit.Party]:
    """Who is who: the folder's rules say which roles these answers name; the caller stands in the one that files."""
    if actor.role is Role.STAFF:
        return list(filing.parties)
    parties = submit.parties_of(procedure, filing.answers, filer=actor.id, on=on)
    if facts is not None and facts.person_id != actor.id:
        parties.append(submit.Party(parties[0].role, facts.person_id))  # until 番号紐付 makes the two one
    return parties


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise SignatureInvalid("署名のデータを読めません。もう一度署名してください。") from None

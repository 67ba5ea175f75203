"""What can be repeated, before the transaction: read, judge, encrypt. What is wrong becomes a reason, never a refusal.

Only an absent neighbour is no verdict: it is told as 503, so that the connector hands the package over again.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import IO, Any

from town_kit.archives import Archive, open_archive
from town_kit.auth import Role
from town_kit.clock import japan_date
from town_kit.problems import DependencyUnavailable, Problem, SignatureInvalid, ValidationFailed
from town_kit.raw_packages import Package, PackedFile, read_package
from town_procedures import applications
from town_procedures.applications import (
    Channel,
    DocumentRef,
    ProcedureUnknown,
    SealedNumber,
    SignatureFacts,
    Submission,
)
from town_procedures.catalogue import MY_NUMBER_IN_TEXT, AttachedFile, Procedure
from town_procedures.intake.errors import WrongMunicipality
from town_procedures.ports import Ports


@dataclass(frozen=True, slots=True)
class Delivery:
    """Under what a package came; ``received_at`` 到達 is the portal's time, never later than ours."""

    source: str
    receipt_no: str
    received_at: datetime
    mynaportal_procedure_id: str


@dataclass(frozen=True, slots=True)
class Content:
    """What is judged, by whichever way it came: the portal's package, or the vault after a release."""

    answers: Mapping[str, Any]
    my_numbers: Sequence[SealedNumber]
    files: Sequence[AttachedFile]
    file_hashes: Sequence[str]
    digests: Mapping[str, bytes]
    cms: bytes | None
    documents: Sequence[DocumentRef] = ()


@dataclass(slots=True)
class Prepared:
    """The verdict: a submission without its files, or what is wrong; what was found out on the way stands beside."""

    submission: Submission | None = None
    problem: Problem | None = None
    procedure_code: str | None = None
    content_digest: bytes | None = None
    files: tuple[PackedFile, ...] = ()
    archive: Archive | None = None


async def prepare_package(stack: ExitStack, file: IO[bytes], delivery: Delivery, wired: Ports) -> Prepared:
    """Open, read and judge a raw package; ``stack`` keeps its archive open until the files are stored.

    Raises:
        DependencyUnavailable: identity does not answer; nothing was judged.
    """
    prepared = Prepared()
    try:
        prepared.archive = await asyncio.to_thread(stack.enter_context, open_archive(file))
        package = await asyncio.to_thread(read_package, prepared.archive, wired.packages)
        prepared.files = package.files
        procedure = _addressee(package, delivery, wired)
        prepared.procedure_code = procedure.code
        await judge(prepared, procedure, _content(package), delivery, wired)
    except DependencyUnavailable:
        raise
    except Problem as problem:
        prepared.problem = problem
    return prepared


def _addressee(package: Package, delivery: Delivery, wired: Ports) -> Procedure:
    if package.municipality_code != wired.municipality_code:
        raise WrongMunicipality
    for procedure in wired.catalogue.values():
        if (
            package.procedure_id in procedure.portal_ids(wired.packages.name)
            and Channel.MYNAPORTAL in procedure.channels
        ):
            if package.procedure_id != delivery.mynaportal_procedure_id:
                raise ValidationFailed("ポータルの一覧と申請データで、手続きの番号が違います。")
            return procedure
    raise ProcedureUnknown


def _content(package: Package) -> Content:
    return Content(
        answers=package.answers,
        my_numbers=(),
        files=[AttachedFile(file.kind, file.media_type, file.size) for file in package.files],
        file_hashes=[file.sha256 for file in package.files],
        digests=applications.digests(package.signed),
        cms=package.cms,
    )


async def judge(prepared: Prepared, procedure: Procedure, content: Content, delivery: Delivery, wired: Ports) -> None:
    """Signature, form and checks; then the numbers are encrypted and the submission is ready.

    Raises:
        Problem: what is wrong.
    """
    prepared.content_digest = applications.content_digest(content.answers, content.file_hashes, wired.digest_key)
    facts = await _signature(procedure, content, delivery, wired)
    in_text = _checked(procedure, content, delivery)
    answers, texts = applications.seal_texts(content.answers, in_text, wired.vault)
    answers, numbers = applications.seal_numbers(procedure, answers, wired.vault)
    filer = facts.person_id if facts else None
    prepared.submission = Submission(
        procedure=procedure,
        answers=answers,
        my_numbers=[*content.my_numbers, *numbers, *texts],
        parties=applications.parties_of(procedure, content.answers, filer=filer, on=japan_date(delivery.received_at)),
        channel=Channel.MYNAPORTAL,
        source=delivery.source,
        receipt_no=delivery.receipt_no,
        received_at=delivery.received_at,
        documents=content.documents,
        signature=facts,
        content_digest=prepared.content_digest,
        filed_by=filer,
        actor_role=Role.RESIDENT.value,
        flags=(applications.MY_NUMBER_IN_TEXT,) if in_text else (),
        names=applications.names_of(delivery.source, delivery.receipt_no, wired.digest_key),
    )


async def _signature(procedure: Procedure, content: Content, delivery: Delivery, wired: Ports) -> SignatureFacts | None:
    if content.cms is not None:
        return await wired.signatures.verify(digests=content.digests, cms=content.cms, received_at=delivery.received_at)
    if procedure.requires_signature:
        raise SignatureInvalid("電子署名がありません。署名した申請データを送ってください。")
    return None


def _checked(procedure: Procedure, content: Content, delivery: Delivery) -> list[str]:
    """Pointers of the free texts in which a number was found; anything else that is wrong is raised."""
    errors = procedure.validate(content.answers, attachments=content.files, on=japan_date(delivery.received_at))
    wrong = [error for error in errors if error.code != MY_NUMBER_IN_TEXT]
    if wrong:
        raise ValidationFailed("申請の内容を確認してください。", errors=wrong)
    return [error.pointer.removeprefix("/answers") for error in errors]


async def prepare_released(procedure_code: str, content: Content, delivery: Delivery, wired: Ports) -> Prepared:
    """Judge what the vault read out of a released package.

    Raises:
        DependencyUnavailable: identity does not answer; nothing was judged.
    """
    prepared = Prepared()
    try:
        procedure = wired.catalogue.get(procedure_code)
        if procedure is None:
            raise ProcedureUnknown
        prepared.procedure_code = procedure.code
        await judge(prepared, procedure, content, delivery, wired)
    except DependencyUnavailable:
        raise
    except Problem as problem:
        prepared.problem = problem
    return prepared

"""差替: other content under the receipt number of an application whose review has not ended."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from uuid import UUID

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession

from town_kit.messaging import outbox
from town_kit.writing import touch
from town_procedures.applications import signer, submit
from town_procedures.applications.domain import Flag, State
from town_procedures.applications.events import ApplicationRevised
from town_procedures.applications.models import Application, ApplicationDocument, ApplicationParty

BEFORE_ACCEPTANCE = frozenset({State.PENDING_VERIFICATION, State.SUBMITTED})


async def revise(session: AsyncSession, application: Application, submission: submit.Submission) -> list[UUID]:
    """Make a submission the current content of an application; answers the blobs it no longer holds.

    Reference, number and 到達 stay as they are; a mark of 支援措置 stays with its party. Nothing has moved, so before
    acceptance no event tells it: whoever needs the content fetches it then. From acceptance on an event does, because
    the core system has the content before it.
    """
    parties = _still_protected(submission.parties, application)
    application.version += 1
    application.revision += 1
    application.procedure_version = submission.procedure.version
    application.answers = dict(submission.answers)
    application.my_numbers = [asdict(number) for number in submission.my_numbers]
    application.party_refs = submit.party_refs(parties)
    application.signature = signer.kept(submission.signature)
    application.content_digest = submission.content_digest
    application.filed_by = submission.filed_by
    application.flags = [*submit.flags_of(submission), Flag.REVISED.value]
    gone = await session.execute(
        delete(ApplicationDocument)
        .where(ApplicationDocument.application_id == application.id)
        .returning(ApplicationDocument.blob_id)
    )
    released = list(gone.scalars())
    await session.execute(delete(ApplicationParty).where(ApplicationParty.application_id == application.id))
    session.add_all(submit.party_rows(application, parties))
    session.add_all(submit.document_rows(application.id, submission.documents))
    if application.state not in BEFORE_ACCEPTANCE:
        outbox.add(session, ApplicationRevised(**application.facts(), revision=application.revision), application)
    touch(session, subjects=[p.person_id for p in parties if p.person_id], fields=("answers",))
    return released


def _still_protected(parties: Sequence[submit.Party], application: Application) -> list[submit.Party]:
    marked = {(p["role"], p["person_id"]) for p in application.party_refs if p["protected"]}
    roles = {role for role, _ in marked}
    return [
        replace(party, protected=True)
        if (party.role.value, str(party.person_id)) in marked or _unnamed(party, roles)
        else party
        for party in parties
    ]


def _unnamed(party: submit.Party, roles: set[str]) -> bool:
    """A party nobody has linked yet: it may be the protected one of its role."""
    return party.person_id is None and party.role.value in roles

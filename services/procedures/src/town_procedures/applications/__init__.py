"""申請 — applications for a procedure and what becomes of them (行政手続法 第2章)."""

from town_procedures.applications.domain import FLAG_LABELS, LABELS, Actor, Channel, Flag, PartyRole, State, days_left
from town_procedures.applications.errors import ProcedureUnknown, RevisionNeedsClerk
from town_procedures.applications.models import Application
from town_procedures.applications.repository import by_receipt
from town_procedures.applications.repository import documents as documents_of
from town_procedures.applications.repository import one as find_one
from town_procedures.applications.repository import page as queue_page
from town_procedures.applications.revise import BEFORE_ACCEPTANCE, revise
from town_procedures.applications.service import advance, persons
from town_procedures.applications.signer import Holder, SerialStatus, SignatureFacts
from town_procedures.applications.submit import (
    MY_NUMBER_IN_TEXT,
    TEXT_ROLE,
    DocumentRef,
    Party,
    SealedNumber,
    Submission,
    content_digest,
    digests,
    names_of,
    parties_of,
    record,
    resolved,
    seal_numbers,
    seal_texts,
)


def state_label(state: str) -> str:
    """The Japanese word for a state."""
    return LABELS[State(state)]


def flag_label(flag: str) -> str:
    """What a clerk reads about a flag."""

    return FLAG_LABELS.get(flag, flag)


__all__ = [
    "BEFORE_ACCEPTANCE",
    "MY_NUMBER_IN_TEXT",
    "TEXT_ROLE",
    "Actor",
    "Application",
    "Channel",
    "DocumentRef",
    "Flag",
    "Holder",
    "Party",
    "PartyRole",
    "ProcedureUnknown",
    "RevisionNeedsClerk",
    "SealedNumber",
    "SerialStatus",
    "SignatureFacts",
    "State",
    "Submission",
    "advance",
    "by_receipt",
    "content_digest",
    "days_left",
    "digests",
    "documents_of",
    "find_one",
    "flag_label",
    "names_of",
    "parties_of",
    "persons",
    "queue_page",
    "record",
    "resolved",
    "revise",
    "seal_numbers",
    "seal_texts",
    "state_label",
]

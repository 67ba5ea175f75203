"""Tables of applications, and the moves an application makes."""

from datetime import date, datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, LargeBinary, Text
from sqlalchemy.orm import Mapped, mapped_column

from town_kit.auth import Role
from town_kit.clock import japan_date
from town_kit.db import Aggregate
from town_kit.ids import new_id
from town_kit.jp import BusinessDays
from town_kit.problems import StateConflict
from town_procedures.applications import events as fact
from town_procedures.applications.domain import DECIDED, DECISIONS, Actor, Deadline, State, clock, move
from town_procedures.applications.errors import DraftDiffers, SameOfficer
from town_procedures.base import Base


class ApplicationParty(Base):
    """当事者: a person's part in an application; row security goes through these rows.

    ``person_id`` is null until identity links the person; ``protected`` (支援措置) hides addresses. ``received_at``
    repeats the application's 到達, which never changes, so that one index holds a person's applications in order.
    """

    __tablename__ = "application_parties"
    __append_only__ = True

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    application_id: Mapped[UUID] = mapped_column(ForeignKey("applications.id"))
    role: Mapped[str] = mapped_column(Text)
    person_id: Mapped[UUID | None]
    protected: Mapped[bool] = mapped_column(default=False)
    received_at: Mapped[datetime]


class ApplicationTransition(Base):
    """経過: one move of an application, kept for ever."""

    __tablename__ = "application_transitions"
    __append_only__ = True

    application_id: Mapped[UUID] = mapped_column(ForeignKey("applications.id"), primary_key=True)
    sequence: Mapped[int] = mapped_column(primary_key=True)
    from_state: Mapped[str | None] = mapped_column(Text)
    to_state: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime]
    actor_role: Mapped[str] = mapped_column(Text)
    actor_id: Mapped[UUID | None]
    reason_code: Mapped[str | None] = mapped_column(Text)
    counted: Mapped[bool] = mapped_column(default=False)


class ApplicationDocument(Base):
    """添付書類: a file of an application; the bytes are a blob."""

    __tablename__ = "application_documents"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    application_id: Mapped[UUID] = mapped_column(ForeignKey("applications.id"))
    kind: Mapped[str] = mapped_column(Text)
    media_type: Mapped[str] = mapped_column(Text)
    size: Mapped[int] = mapped_column(BigInteger)
    blob_id: Mapped[UUID]


class Application(Base, Aggregate):
    """申請. ``received_at`` 到達 is the portal's or the stamped time; ``recorded_at`` is ours.

    ``due_on`` is the last day of the processing period, ``due_at_latest`` that of the law; both are the folder's at
    the time of filing, as are ``decided_by`` and ``two_person_decision``. ``drafted_*`` stand while a draft waits.
    ``client_id`` is the app through which a resident filed it.
    ``answers`` hold no My Number: each stands in ``my_numbers`` as {pointer, role, jwe} until the vault has taken it
    and then as {pointer, role, reference}. ``party_refs`` repeats role, person and protection of each party,
    because a resident's transaction sees only her own row of ``application_parties`` and events must name all.
    """

    __tablename__ = "applications"

    reference: Mapped[str] = mapped_column(Text, unique=True)
    procedure_code: Mapped[str] = mapped_column(Text)
    procedure_version: Mapped[str] = mapped_column(Text)
    business_id: Mapped[str] = mapped_column(Text)
    decided_by: Mapped[str] = mapped_column(Text)
    two_person_decision: Mapped[bool] = mapped_column(default=False)
    channel: Mapped[str] = mapped_column(Text)
    source: Mapped[str] = mapped_column(Text)
    receipt_no: Mapped[str | None] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text)
    status_sequence: Mapped[int] = mapped_column(default=0)
    state_since: Mapped[datetime]
    received_at: Mapped[datetime]
    recorded_at: Mapped[datetime]
    due_on: Mapped[date | None]
    due_at_latest: Mapped[date | None]
    clock_stopped_on: Mapped[date | None]
    filed_by: Mapped[UUID | None]
    client_id: Mapped[str | None] = mapped_column(Text)
    party_refs: Mapped[list[Any]]
    answers: Mapped[dict[str, Any]]
    my_numbers: Mapped[list[Any]]
    signature: Mapped[dict[str, Any] | None]
    content_digest: Mapped[bytes] = mapped_column(LargeBinary)
    revision: Mapped[int] = mapped_column(default=1)
    flags: Mapped[list[Any]]
    receipt_fiscal_year: Mapped[int | None]
    receipt_serial: Mapped[int | None]
    receipt_number: Mapped[str | None] = mapped_column(Text)
    decision: Mapped[str | None] = mapped_column(Text)
    reason_code: Mapped[str | None] = mapped_column(Text)
    drafted_by: Mapped[UUID | None]
    drafted_decision: Mapped[str | None] = mapped_column(Text)
    drafted_reason_code: Mapped[str | None] = mapped_column(Text)
    new_transition: ClassVar[ApplicationTransition | None] = None  # set per object by a move, stored by the use case

    __mapper_args__ = {"eager_defaults": False}  # noqa: RUF012 - read by SQLAlchemy

    def begin(self, to: State, *, at: datetime, by: Actor) -> fact.ApplicationEvent:
        """The first move, from nothing to ``to``; its row of the timeline is ``new_transition``."""
        return self._move(None, to, at=at, by=by)

    def advance(
        self,
        to: State,
        *,
        at: datetime,
        by: Actor,
        calendar: BusinessDays,
        reason_code: str | None = None,
    ) -> fact.ApplicationEvent:
        """Move to ``to`` and answer the event that tells it; the clock of the processing period stops or runs again.

        Raises:
            StateConflict: the table of transitions does not know the move.
            DraftMissing: two people decide this application, and nothing is drafted.
        """
        current = State(self.state)
        kind = move(current, to, two_person_decision=self.two_person_decision)
        before = Deadline(self.due_on, self.due_at_latest, self.clock_stopped_on)
        after = clock(before, to, japan_date(at), calendar)
        self.due_on, self.clock_stopped_on = after.due_on, after.stopped_on
        self.version += 1
        return self._move(current, to, at=at, by=by, reason_code=reason_code, kind=kind)

    def draft(
        self, decision: State, reason_code: str | None, *, at: datetime, by: Actor, calendar: BusinessDays
    ) -> fact.ApplicationEvent:
        """起案: propose a decision; what was drafted before is replaced.

        The event and the timeline do not tell what is proposed: nothing is decided yet.

        Raises:
            StateConflict: nothing can be drafted here.
        """
        event = self.advance(State.DRAFTED, at=at, by=by, calendar=calendar)
        self.drafted_by, self.drafted_decision, self.drafted_reason_code = by.id, decision.value, reason_code
        return event

    def decide(
        self, decision: State, reason_code: str | None, *, at: datetime, by: Actor, calendar: BusinessDays
    ) -> fact.ApplicationEvent:
        """決定; of what is drafted, 決裁 by another officer. A decision that stands is changed by :meth:`advance`.

        Raises:
            StateConflict: it is decided already, or nothing can be decided here.
            SameOfficer: the one who drafted cannot approve her own draft.
            DraftDiffers: something else was drafted.
            DraftMissing: as :meth:`advance`.
        """
        if self.decision is not None:
            raise StateConflict(
                "この申請はすでに決定されています。決定の変更・取消しが必要なときは、担当課の責任者に相談してください。"
            )
        if self.state == State.DRAFTED:
            if self.drafted_by == by.id:
                raise SameOfficer("決裁は起案した人とは別の職員が行ってください。")
            if (self.drafted_decision, self.drafted_reason_code) != (decision.value, reason_code):
                raise DraftDiffers(
                    "起案された決定と理由を確認してください。違う決定にするときは起案し直し、別の職員が決裁してください。"
                )
        return self.advance(decision, at=at, by=by, calendar=calendar, reason_code=reason_code)

    def _move(
        self,
        current: State | None,
        to: State,
        *,
        at: datetime,
        by: Actor,
        reason_code: str | None = None,
        kind: type[fact.ApplicationEvent] | None = None,
    ) -> fact.ApplicationEvent:
        kind = kind or move(current, to)
        self.state = to.value
        self.status_sequence += 1
        self.state_since = at
        if to is not State.DRAFTED:
            self.drafted_by = self.drafted_decision = self.drafted_reason_code = None
        if to in DECISIONS:
            self.decision, self.reason_code = to.value, reason_code
        elif to not in DECIDED:
            self.decision = self.reason_code = None
        self.__dict__["new_transition"] = ApplicationTransition(
            application_id=self.id,
            sequence=self.status_sequence,
            from_state=current.value if current else None,
            to_state=to.value,
            at=at,
            actor_role=by.role,
            actor_id=by.id,
            reason_code=reason_code,
            counted=False,
        )
        told = {"reason_code": reason_code, "by": "resident" if by.role == Role.RESIDENT else "staff"}
        return kind(**self.facts(), **{name: told[name] for name in told.keys() & kind.model_fields.keys()})

    def present(self) -> fact.ApplicationRepublished:
        """The event that tells where this application stands now."""
        return fact.ApplicationRepublished(
            **self.facts(),
            state_since=self.state_since,
            receipt_number=self.receipt_number,
            decision=self.decision,
            reason_code=self.reason_code,
        )

    def facts(self) -> dict[str, Any]:
        """What every event about this application says."""
        return {
            "application_id": self.id,
            "reference": self.reference,
            "procedure_code": self.procedure_code,
            "procedure_version": self.procedure_version,
            "business_id": self.business_id,
            "channel": self.channel,
            "client_id": self.client_id,
            "receipt_no": self.receipt_no,
            "state": self.state,
            "status_sequence": self.status_sequence,
            "received_at": self.received_at,
            "due_on": self.due_on.isoformat() if self.due_on else None,
            "parties": tuple(fact.PartyRef(role=p["role"], person_id=p["person_id"]) for p in self.party_refs),
        }

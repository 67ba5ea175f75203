"""決定の変更と取消し: a decision can be corrected after it was carried out, whoever made it."""

from typing import Any

import pytest

from town_kit.problems import StateConflict
from town_procedures.applications.consumers import RecordDecided, application_consumers
from town_procedures.applications.domain import State

DECIDED = "SELECT state, decision, reason_code FROM applications WHERE id = :id"
TOLD = "SELECT type, data FROM outbox WHERE key = :id ORDER BY seq DESC LIMIT 1"


class Heard:
    """An event as the consumer's runner hands it over."""

    def __init__(self, data: RecordDecided) -> None:
        self.data = data


async def decided_by_core(api: Any, moves: Any) -> Any:
    """A claim the core system has approved; it is completed in the same transaction."""
    application_id = await moves.walk([State.SUBMITTED, State.ACCEPTED], "CH-01")
    consumer, *_ = application_consumers(api.clock, api.service.extras["ports"].calendar)
    async with api.service.database.begin() as session:
        event: Any = Heard(RecordDecided(application_id=application_id, result="approved"))
        await consumer.handlers[RecordDecided](session, event)
    (row,) = await api.rows(DECIDED, id=application_id)
    assert tuple(row) == ("completed", "approved", None)
    return application_id


async def test_a_completed_decision_of_the_core_system_is_changed(api: Any, moves: Any) -> None:
    application_id = await decided_by_core(api, moves)
    await moves.make(application_id, State.REJECTED, reason_code="income-corrected")
    (row,) = await api.rows(DECIDED, id=application_id)
    assert tuple(row) == ("rejected", "rejected", "income-corrected")
    (event,) = await api.rows(TOLD, id=application_id)
    assert event.type == "town.procedures.application.decision_revised.v1"
    assert b'"reason_code":"income-corrected"' in bytes(event.data)
    await moves.make(application_id, State.COMPLETED, reason_code=None)
    (row,) = await api.rows(DECIDED, id=application_id)
    assert tuple(row) == ("completed", "rejected", "income-corrected")


async def test_a_rejection_changed_to_an_approval_keeps_no_reason(api: Any, moves: Any) -> None:
    application_id = await decided_by_core(api, moves)
    await moves.make(application_id, State.REJECTED, reason_code="income-corrected")
    await moves.make(application_id, State.APPROVED, reason_code=None)
    (row,) = await api.rows(DECIDED, id=application_id)
    assert tuple(row) == ("approved", "approved", None)


async def test_a_revoked_decision_stands_no_more_and_the_review_goes_on(api: Any, moves: Any) -> None:
    application_id = await decided_by_core(api, moves)
    assert str(application_id) not in await api.queue(procedure_code="CH-01")
    await moves.make(application_id, State.IN_REVIEW, reason_code="decided-in-error")
    (row,) = await api.rows(DECIDED, id=application_id)
    assert tuple(row) == ("in_review", None, None)
    (event,) = await api.rows(TOLD, id=application_id)
    assert event.type == "town.procedures.application.decision_revoked.v1"
    assert str(application_id) in await api.queue(procedure_code="CH-01")


async def test_what_was_withdrawn_stays_so(api: Any, moves: Any) -> None:
    application_id = await moves.walk([State.SUBMITTED, State.WITHDRAWN])
    for to in State:
        with pytest.raises(StateConflict):
            await moves.make(application_id, to)

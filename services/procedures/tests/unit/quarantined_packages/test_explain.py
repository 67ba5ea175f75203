"""Each reason is told in words a clerk understands; each move stands in one table."""

import pytest

from town_kit.problems import Problem, StateConflict
from town_procedures.applications import ProcedureUnknown, RevisionNeedsClerk
from town_procedures.intake.errors import WrongMunicipality
from town_procedures.quarantined_packages.domain import EXPLANATIONS, TRANSITIONS, State, explanation, move

FROM_THE_KIT = (
    "archive-unsafe",
    "document-unsafe",
    "duplicate-member",
    "jpki-expired",
    "jpki-revoked",
    "jpki-status-unavailable",
    "jpki-untrusted",
    "jpki-weak-algorithm",
    "jpki-wrong-purpose",
    "malformed-request",
    "signature-invalid",
    "validation-failed",
)
OURS = (ProcedureUnknown.slug, RevisionNeedsClerk.slug, WrongMunicipality.slug)


@pytest.mark.parametrize("reason", [*FROM_THE_KIT, *OURS])
def test_every_reason_has_its_sentences(reason: str) -> None:
    told = explanation(reason)
    assert told is EXPLANATIONS[reason]
    assert all(text.endswith("。") for text in (told.happened, told.next_step, told.on_release))


def test_every_explained_reason_is_the_slug_of_a_problem() -> None:
    assert set(EXPLANATIONS) <= set(Problem.catalogue)


@pytest.mark.parametrize("current", [None, *State])
@pytest.mark.parametrize("to", list(State))
def test_a_move_outside_the_table_is_refused(current: State | None, to: State) -> None:
    if (current, to) in TRANSITIONS:
        assert move(current, to) is TRANSITIONS[current, to]
    else:
        with pytest.raises(StateConflict):
            move(current, to)

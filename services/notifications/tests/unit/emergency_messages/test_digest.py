"""What is sent is what was previewed."""

import pytest

from town_kit.problems import StateConflict
from town_notifications.emergency_messages.domain import State, Status, content_digest, move

TEXTS = {"ja": {"title": "避難指示", "body": "高台へ避難してください。"}}


def test_any_change_of_the_content_changes_the_digest() -> None:
    digest = content_digest(TEXTS, Status.ACTUAL, 24)
    other = {"ja": {"title": "避難指示", "body": "高台へ避難してください"}}
    assert len({digest, content_digest(other, Status.ACTUAL, 24), content_digest(TEXTS, Status.EXERCISE, 24),
                content_digest(TEXTS, Status.ACTUAL, 23)}) == 4  # fmt: skip
    assert digest == content_digest(TEXTS, Status.ACTUAL, 24)


def test_a_message_is_taken_back_once() -> None:
    assert move(State.DISPATCHED, State.CANCELLED) is State.CANCELLED
    with pytest.raises(StateConflict):
        move(State.CANCELLED, State.CANCELLED)

"""What is sent is what was previewed."""

import pytest

from town_kit.problems import StateConflict
from town_notifications.emergency_messages.domain import Content, State, Status, move

TEXTS = {"ja": {"title": "避難指示", "body": "高台へ避難してください。"}}


def test_any_change_of_the_content_changes_the_digest() -> None:
    other = {"ja": {"title": "避難指示", "body": "高台へ避難してください"}}
    contents = [
        Content(TEXTS, Status.ACTUAL, 24),
        Content(other, Status.ACTUAL, 24),
        Content(TEXTS, Status.EXERCISE, 24),
        Content(TEXTS, Status.ACTUAL, 23),
    ]
    assert len({content.digest for content in contents}) == 4
    assert contents[0].digest == Content(TEXTS, Status.ACTUAL, 24).digest


def test_a_message_is_taken_back_once() -> None:
    assert move(State.DISPATCHED, State.CANCELLED) is State.CANCELLED
    with pytest.raises(StateConflict):
        move(State.CANCELLED, State.CANCELLED)

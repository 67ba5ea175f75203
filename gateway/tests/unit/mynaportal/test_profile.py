"""A profile that is not filled does not start; one that is reads and writes what it says."""

from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from town_gateway.mynaportal.profile import AnswerUnreadable, fill, load_profile, read, read_fields
from town_kit.profiles import ProfileIncomplete


def test_the_production_profile_refuses_to_start_and_names_every_gap() -> None:
    with pytest.raises(ProfileIncomplete) as refused:
        load_profile("production")

    for place in (
        "login.path",
        "token_header.name",
        "list.items",
        "list.fields.receipt_no",
        "package.path",
        "statuses",
    ):
        assert place in str(refused.value)


def test_the_sandbox_profile_is_complete_and_says_that_it_is_ours() -> None:
    profile = load_profile("sandbox")

    assert profile.gaps == ()
    assert profile.source == "ours"
    assert {told.source for told in profile.statuses.values()} == {"ours"}


@pytest.mark.parametrize(
    "change",
    [{"source": "somebody"}, {"invented": 1}, {"login": {"source": "ours", "method": "GET"}}],
    ids=["unknown source", "unknown member", "a part is missing"],
)
def test_a_profile_of_another_shape_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    content = load_profile("sandbox").model_dump(mode="json") | change
    (tmp_path / "p.yaml").write_text(yaml.safe_dump(content, allow_unicode=True))

    with pytest.raises(ValidationError):
        load_profile(str(tmp_path / "p.yaml"))


def test_a_value_keeps_its_type_where_it_stands_alone() -> None:
    assert fill({"n": "{sequence}", "t": "no {sequence}", "k": 1}, {"sequence": 3}) == {"n": 3, "t": "no 3", "k": 1}


def test_an_answer_without_what_the_profile_says_is_unreadable_and_its_content_is_not_told() -> None:
    assert read({"a": {"b": 1}}, "$.a.b") == 1
    assert read([1], "$") == [1]
    for document in ({"a": "secret"}, [], None):
        with pytest.raises(AnswerUnreadable) as unreadable:
            read(document, "$.a.b")
        assert "secret" not in str(unreadable.value)
    with pytest.raises(AnswerUnreadable):
        read_fields({"a": True}, {"x": "$.a"})

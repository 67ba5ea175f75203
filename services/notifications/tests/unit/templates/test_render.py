"""Texts are filled in by a pure function that knows a short list of placeholders."""

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from town_notifications.languages import Language
from town_notifications.templates import Procedure, TemplateInvalid, Text, kinds, render, shared_texts
from town_notifications.templates.domain import PLACEHOLDERS, Push, fill, show_date
from town_notifications.templates.town import read_kind

VALUES = {name: f"<{name}>" for name in PLACEHOLDERS}


def test_a_placeholder_is_replaced_by_its_value() -> None:
    text = Text("受付（{procedure}）", "控え番号 {reference}")
    rendered = render(text, VALUES, language=Language.JA, version="1")
    assert (rendered.title, rendered.body) == ("受付（<procedure>）", "控え番号 <reference>")


@pytest.mark.parametrize(
    "bad", ["{name}", "{reference!r}", "{reference:>10}", "{reference.__class__}", "{0}", "{", "", "  "]
)
def test_a_placeholder_off_the_list_or_a_broken_brace_is_refused(bad: str) -> None:
    with pytest.raises(TemplateInvalid):
        Text("題", bad)


def test_a_title_of_two_lines_is_refused() -> None:
    with pytest.raises(TemplateInvalid):
        Text("件名\nBcc: x@example.jp", "本文")


@pytest.mark.parametrize("name", sorted(PLACEHOLDERS - {"town"}))
def test_a_push_can_say_nothing_about_the_person_or_her_matter(name: str) -> None:
    with pytest.raises(TemplateInvalid):
        Push("お知らせ", f"{{{name}}}")


def test_a_missing_value_is_an_error_and_not_an_empty_place() -> None:
    with pytest.raises(TemplateInvalid):
        render(Text("題", "{reference}"), {}, language=Language.JA, version="1")


@given(st.text())
def test_a_value_is_never_read_as_a_template(value: str) -> None:
    assert fill("{reference}", {"reference": value}) == value


@pytest.mark.parametrize("kind", sorted(kinds()))
@pytest.mark.parametrize("language", list(Language))
def test_every_kind_renders_in_every_language(kind: str, language: Language) -> None:
    rendered = Procedure("", {}, {}).render(kinds()[kind], language, VALUES)
    assert rendered.title
    assert "{" not in rendered.title + rendered.body
    assert rendered.version == f"town:{kinds()[kind].version}"


@pytest.mark.parametrize("language", list(Language))
def test_what_a_phone_shows_asks_to_log_in_and_names_the_town_only(language: Language) -> None:
    push = shared_texts().push[language]
    assert fill(push.title, {"town": "穴水町"}) + fill(push.body, {"town": "穴水町"})


def test_the_text_of_the_procedure_goes_before_the_town_wide_one() -> None:
    own = Procedure(
        "3", {"ja": "要介護認定"}, {"application.approved": {Language.JA: Text("{procedure}", "認定 {reference}")}}
    )
    kind = kinds()["application.approved"]
    japanese = own.render(kind, Language.JA, VALUES)
    assert (japanese.title, japanese.version) == ("要介護認定", "procedure:3")
    english = own.render(kind, Language.EN, VALUES)
    assert english.version == "town:1"


@pytest.mark.parametrize(
    ("language", "shown"),
    [(Language.JA, "令和9年1月12日"), (Language.JA_SIMPLE, "2027年1月12日"), (Language.EN, "12 January 2027")],
)
def test_a_date_is_written_as_its_readers_write_it(language: Language, shown: str) -> None:
    assert show_date(date(2027, 1, 12), language) == shown


def test_a_kind_that_lacks_a_language_is_refused() -> None:
    raw: dict[str, Any] = {
        "version": "1",
        "notify": True,
        "valid_days": 1,
        "unreached": "letters",
        "texts": {"ja": {"title": "題", "body": "本文"}},
        "next_step": {"ja": "", "ja-simple": "", "en": ""},
    }
    with pytest.raises(TemplateInvalid):
        read_kind("application.new", raw)

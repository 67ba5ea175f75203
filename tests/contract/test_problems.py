"""Whoever is refused is told what to do next, by every class of refusal and at every place that gives one."""

import re
from typing import Any

import pytest

from town_kit.problems import NotFound, Problem
from town_onebox.registry import ENTRIES

SERVING = [entry.name for entry in ENTRIES if entry.serves]


def test_every_refusal_says_in_japanese_what_to_do_next(composed: Any) -> None:
    ours = {slug: kind for slug, kind in Problem.catalogue.items() if kind.__module__.startswith("town_")}
    assert len(ours) > 40
    silent = [
        slug for slug, kind in ours.items() if not re.search(r"[\u3040-\u9fff].*ください[^。]*。$", kind.next_step)
    ]
    assert silent == []


def test_the_next_step_is_told_where_nothing_closer_is_said() -> None:
    assert NotFound().document()["detail"] == NotFound.next_step
    assert NotFound("この申請はありません。").document()["detail"] == "この申請はありません。"


def test_two_refusals_of_one_slug_are_refused_even_where_their_classes_have_one_name() -> None:
    def another(module: str) -> type[Problem]:
        body = {"__module__": module, "__qualname__": NotFound.__qualname__}
        return type(Problem)("NotFound", (Problem,), body, slug="not-found", status=404, title="別", next_step="別。")

    with pytest.raises(TypeError, match="not-found"):
        another("town_elsewhere")
    try:
        another(NotFound.__module__)  # a module that is loaded anew
    finally:
        Problem.catalogue["not-found"] = NotFound


@pytest.mark.parametrize("service", SERVING)
async def test_a_path_and_a_method_that_are_not_there_say_what_to_do_next(composed: Any, service: str) -> None:
    async with composed.client(service) as client:
        for answer in (await client.get("/v1/nowhere"), await client.delete("/livez")):
            assert answer.status_code in {404, 405}
            assert answer.json()["detail"].endswith("ください。"), answer.text

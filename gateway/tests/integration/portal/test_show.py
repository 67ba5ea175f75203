"""The first page and the reference: nothing from elsewhere, nothing invented, nothing shown in production."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from town_gateway.main import create_service
from town_gateway.portal.router import PAGES

HOP = {
    "hop": "fetched",
    "title": "取得",
    "title_en": "fetched",
    "at": "2027-01-04T09:00:00+09:00",
    "ms": 12.5,
    "ok": True,
}


@pytest.fixture
def showcase(tmp_path: Path) -> Path:
    (tmp_path / "about.json").write_text(json.dumps({"mode": "onebox", "plan": [], "real": [], "sandbox": []}))
    return tmp_path


def write(folder: Path, *lines: dict[str, Any] | str) -> None:
    text = "".join(line if isinstance(line, str) else json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    (folder / "journey.jsonl").write_text(text)


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_loads_nothing_from_elsewhere(gateway: Any, path: str) -> None:
    answer = await gateway.get(path)

    assert answer.status_code == 200
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    addresses = set(re.findall(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]+", answer.text))
    assert addresses == set()
    assert "style=" not in answer.text
    assert not re.search(r"\son[a-z]+=", answer.text)


async def test_without_a_trial_the_page_shows_no_journey_and_no_token(gateway: Any) -> None:
    journey = (await gateway.get("/portal/journey")).json()

    assert (journey["municipality"], journey["hops"], journey["mode"]) == ("穴水町", [], None)
    assert (await gateway.get("/portal/test-tokens")).json() == []


async def test_the_journey_is_shown_as_far_as_it_went(started: Any, gateway_settings: Any, showcase: Path) -> None:
    async with started(gateway_settings.model_copy(update={"showcase": showcase})) as gateway:
        write(
            showcase,
            {"hop": "start"},
            HOP | {"hop": "old"},
            {"hop": "end", "ok": True},
            {"hop": "start"},
            HOP,
            '{"hop": "half',
        )
        first = (await gateway.get("/portal/journey")).json()
        write(showcase, {"hop": "start"}, HOP, HOP | {"hop": "accepted"}, {"hop": "end", "ok": True})
        second = (await gateway.get("/portal/journey")).json()

    assert ([hop["hop"] for hop in first["hops"]], first["finished"]) == (["fetched"], False)
    assert ([hop["hop"] for hop in second["hops"]], second["finished"]) == (["fetched", "accepted"], True)


async def test_test_tokens_are_given_only_from_the_folder_of_a_trial(
    started: Any, gateway_settings: Any, showcase: Path
) -> None:
    account = {"role": "resident", "who": "見本", "token": "t", "expires_at": None, "try": []}
    (showcase / "tokens.json").write_text(json.dumps([account]))
    async with started(gateway_settings.model_copy(update={"showcase": showcase})) as gateway:
        assert (await gateway.get("/portal/test-tokens")).json() == [account]

    with pytest.raises(RuntimeError, match="SHOWCASE"):
        create_service(gateway_settings.model_copy(update={"showcase": showcase, "environment": "production"}))


async def test_the_description_is_one_valid_document_and_says_which_service_is_missing(gateway: Any) -> None:
    document = (await gateway.get("/openapi.json")).json()

    OpenAPIV31SpecValidator(document).validate()
    assert "/webhooks/mynaportal" in document["paths"]
    assert "/apps/kosodate/v1/applications" in document["paths"]
    assert document["x-unavailable"] == ["identity", "procedures", "notifications"]

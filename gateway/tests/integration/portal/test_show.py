"""The first page and the reference: nothing from elsewhere, nothing invented, nothing shown in production."""

import json
import re
import shutil
import subprocess
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


# As much of a browser as the page's script needs to be loaded and to show a journey.
STUB = """
const made = () => ({ style: { setProperty() {} }, replaceChildren() {}, append() {}, setAttribute() {},
  querySelector: () => made(), cloneNode: () => made(), get firstElementChild() { return made(); },
  get content() { return made(); } });
const known = new Map();
globalThis.document = { hidden: true,
  getElementById: (id) => known.get(id) ?? (known.set(id, made()), known.get(id)) };
globalThis.fetch = () => new Promise(() => {});
globalThis.setInterval = globalThis.setTimeout = () => 0;
"""


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


@pytest.mark.parametrize("hops", [(), (HOP,), (HOP | {"ok": False},)])
async def test_a_journey_that_failed_never_says_that_everything_arrived(
    started: Any, gateway_settings: Any, showcase: Path, hops: tuple[dict[str, Any], ...]
) -> None:
    """It may fail before its first hop, so the hops alone do not tell it."""
    about = {"mode": "onebox", "plan": [HOP, HOP | {"hop": "told"}], "real": [], "sandbox": []}
    (showcase / "about.json").write_text(json.dumps(about))
    async with started(gateway_settings.model_copy(update={"showcase": showcase})) as gateway:
        write(showcase, {"hop": "start"}, *hops, {"hop": "end", "ok": False})
        failed = (await gateway.get("/portal/journey")).json()
        write(showcase, {"hop": "start"}, HOP, HOP | {"hop": "told"}, {"hop": "end", "ok": True})
        arrived = (await gateway.get("/portal/journey")).json()
        script = (await gateway.get("/portal/index.js")).text

    assert (failed["finished"], failed["ok"]) == (True, False)
    assert (arrived["finished"], arrived["ok"]) == (True, True)
    if shutil.which("node") is None:
        pytest.skip("node is not there: what the page says was not run")
    assert said(script, failed) == "途中で止まりました。記録を確認してください。"
    assert said(script, arrived).startswith("すべて届きました")


def said(script: str, state: dict[str, Any]) -> str:
    """What the page's own script says of the journey's progress."""
    program = f"{STUB}\n{script}\nshowJourney({json.dumps(state)}); console.log(byId('progress').textContent);"
    done = subprocess.run(["node", "-e", program], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.strip()


async def test_a_resident_who_comes_by_in_production_is_told_where_to_apply(gateway: Any) -> None:
    page = (await gateway.get("/")).text
    calm = page[page.index('id="calm"') :].split("</section>")[0]
    assert "申請は、マイナポータルの「ぴったりサービス」か、役場の担当窓口でできます" in calm
    assert "役場へお電話ください" in calm


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

"""署名した人: what is kept of a certificate, and where the application says otherwise."""

import copy
import json
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from town_kit.ids import new_id
from town_procedures.applications import signer
from town_procedures.applications.domain import FLAG_LABELS, Flag
from town_procedures.applications.signer import Holder, SignatureFacts
from town_procedures.catalogue import load_catalogue
from town_procedures.wiring import SHIPPED

CATALOGUE = load_catalogue(SHIPPED)
ON = date(2026, 10, 5)
HOLDER = Holder("能登　花子", "female", "石川県鳳珠郡穴水町字見本町ロ１番地の２")
FACTS = SignatureFacts(
    person_id=new_id(),
    issuer="0" * 64,
    serial_reference=str(new_id()),
    generation="test",
    revocation="good",
    revoked_later=False,
    checked_at="2027-01-12T01:00:00+00:00",
    birth=date(1987, 5, 14),
    name_substitutes="00000",
    address_substitutes="0" * len(HOLDER.address),
    holder=HOLDER,
)


def sample(code: str) -> dict[str, Any]:
    text = (CATALOGUE[code].folder / "samples" / "valid.json").read_text("utf-8")
    answers: dict[str, Any] = json.loads(text)["answers"]
    return answers


def flags(facts: SignatureFacts, code: str = "CH-01", **claimant: Any) -> list[str]:
    answers = copy.deepcopy(sample(code))
    answers["claimant" if code == "CH-01" else "submitter"].update(claimant)
    return [str(flag) for flag in signer.flags_of(facts, CATALOGUE[code], answers, ON)]


def held(**changes: str) -> SignatureFacts:
    return replace(FACTS, holder=replace(HOLDER, **changes))


def test_what_agrees_has_no_flag() -> None:
    assert flags(FACTS) == []


def test_without_a_signature_there_is_nothing_to_say() -> None:
    assert signer.flags_of(None, CATALOGUE["CH-01"], sample("CH-01"), ON) == []
    assert signer.kept(None) is None


@pytest.mark.parametrize(
    ("claimant", "expected"),
    [
        ({"name": "能登　華子"}, ["name_differs"]),
        ({"birth_date": "1987-05-15"}, ["birth_differs"]),
        ({"sex": "1"}, ["sex_differs"]),
        (
            {"address": {"prefecture": "石川県", "municipality": "金沢市", "town": "", "block": "１"}},
            ["address_differs"],
        ),
    ],
)
def test_each_of_the_four_facts_is_compared(claimant: dict[str, Any], expected: list[str]) -> None:
    assert flags(FACTS, **claimant) == expected


@pytest.mark.parametrize("name", ["能登花子", "能登 花子", "能登\u3000\u3000花子"])
def test_blanks_do_not_count(name: str) -> None:
    assert flags(FACTS, name=name) == []


@pytest.mark.parametrize(
    ("stated", "written"),
    [
        ("髙橋　ゑみ", "高橋　ゑみ"),
        ("ノト　ハナコ", "ﾉﾄ ﾊﾅｺ"),
        ("ＡＬＩＣＥ　Ｎｏｔｏ", "alice noto"),
        ("能登　ふみ", "能登　フミ"),
        ("葛\U000e0100城　京", "葛城　京"),
    ],
)
def test_width_kana_and_variants_of_characters_do_not_count(stated: str, written: str) -> None:
    facts = replace(held(name=stated), name_substitutes="")
    assert flags(facts, name=written) == []
    assert flags(facts, name=written + "子") == ["name_differs"]


@pytest.mark.parametrize("block", ["ロ１番地の２", "ロ１番地２", "ロ1-2", "ロ１番２号", "ろ１－２"])
def test_a_block_number_is_read_however_it_is_written(block: str) -> None:
    address = {**sample("CH-01")["claimant"]["address"], "block": block}
    assert flags(FACTS, address=address) == []
    assert flags(FACTS, address={**address, "block": "ロ１番地の３"}) == ["address_differs"]


def test_a_building_the_certificate_does_not_name_is_no_difference() -> None:
    address = {**sample("CH-01")["claimant"]["address"], "building": "見本荘１０１号室"}
    assert flags(FACTS, address=address) == []
    named = held(address=HOLDER.address + "　見本荘１０１号室")
    assert flags(replace(named, address_substitutes=""), address=address) == []


def test_a_substituted_character_is_skipped_and_the_others_are_compared() -> None:
    facts = replace(held(name="能登　■子"), name_substitutes="00010")
    assert flags(facts) == ["name_substituted"]
    assert flags(facts, name="能登　華子") == ["name_substituted"]
    assert flags(facts, name="能登　花江") == ["name_substituted", "name_differs"]
    masked = HOLDER.address.replace("穴", "■")
    mask = "".join("1" if c == "■" else "0" for c in masked)
    assert flags(replace(held(address=masked), address_substitutes=mask)) == ["address_substituted"]


def test_a_mask_that_does_not_fit_compares_nothing() -> None:
    assert flags(replace(held(name="佐藤　一"), name_substitutes="01")) == ["name_substituted"]


def test_what_a_certificate_does_not_state_is_not_compared() -> None:
    unknown = replace(held(sex="other"), birth=None)
    assert flags(unknown, birth_date="1900-01-01", sex="1") == ["birth_unknown"]


def test_a_proxy_who_signs_is_compared_with_herself_and_not_with_her_mother() -> None:
    assert flags(FACTS, "LC-01") == []
    mother = replace(held(name="能登　ふみ"), birth=date(1948, 3, 2))
    assert flags(mother, "LC-01") == ["name_differs"]


def test_one_who_files_for_herself_is_compared_with_the_insured_person() -> None:
    assert flags(replace(held(name="能登　ふみ"), birth=date(1948, 3, 2)), "LC-01", kind="self") == []
    assert flags(FACTS, "LC-01", kind="self") == ["name_differs", "birth_differs"]


def test_a_card_revoked_later_has_a_flag() -> None:
    assert flags(replace(FACTS, revoked_later=True)) == ["revoked_later"]


def test_masks_and_birth_are_kept_and_name_sex_and_address_are_not() -> None:
    document = signer.kept(replace(FACTS, birth=None, name_substitutes="01000"))
    assert document is not None
    assert (document["birth"], document["name_substitutes"]) == (None, "01000")
    assert document["address_substitutes"] == FACTS.address_substitutes
    said = json.dumps(signer.kept(FACTS), ensure_ascii=False)
    assert '"birth": "1987-05-14"' in said
    assert not any(word in said + repr(FACTS) for word in ("花子", "female", "穴水"))
    assert "1987" not in repr(FACTS)


def test_every_flag_says_what_a_clerk_does_next() -> None:
    assert set(FLAG_LABELS) == set(Flag)
    assert all(label.endswith(("してください。", "見比べてください。")) for label in FLAG_LABELS.values())

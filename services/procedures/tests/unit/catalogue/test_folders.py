"""Each shipped folder does what its own ``tests.yaml`` says."""

import copy
import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from town_procedures.catalogue import AttachedFile, Procedure, load_catalogue
from town_procedures.catalogue.folder import FACTS

CATALOGUE = Path(__file__).parents[3] / "src/town_procedures/catalogue"
PROCEDURES = load_catalogue(CATALOGUE)


def cases() -> Iterator[Any]:
    for procedure in PROCEDURES.values():
        for case in yaml.safe_load((procedure.folder / "tests.yaml").read_text(encoding="utf-8")):
            yield pytest.param(procedure, case, id=f"{procedure.code}: {case['name']}")


def sample(procedure: Procedure, name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((procedure.folder / "samples" / f"{name}.json").read_text(encoding="utf-8"))
    return content


def holder(answers: Any, pointer: str) -> tuple[Any, Any]:
    *path, last = pointer.split("/")[1:]
    for part in path:
        answers = answers[int(part)] if isinstance(answers, list) else answers[part]
    return answers, int(last) if isinstance(answers, list) else last


def a_pdf(kind: str, size: int = 1000, media_type: str = "application/pdf") -> AttachedFile:
    return AttachedFile(kind, media_type, size)


@pytest.mark.parametrize(("procedure", "case"), list(cases()))
def test_a_sample_has_exactly_the_problems_its_folder_expects(procedure: Procedure, case: dict[str, Any]) -> None:
    content = sample(procedure, case["sample"])
    answers = copy.deepcopy(content["answers"])
    for pointer, value in case.get("set", {}).items():
        place, name = holder(answers, pointer)
        place[name] = value
    for pointer in case.get("remove", ()):
        place, name = holder(answers, pointer)
        del place[name]
    kinds = case.get("attachments", content["attachments"])
    errors = procedure.validate(answers, attachments=[a_pdf(kind) for kind in kinds], on=case["day"])
    assert sorted(f"{e.pointer} {e.code}" for e in errors) == sorted(case["problems"])


@pytest.mark.parametrize("procedure", list(PROCEDURES.values()), ids=list(PROCEDURES))
def test_a_file_is_held_to_the_types_and_the_size_of_its_kind(procedure: Procedure) -> None:
    answers = sample(procedure, "valid")["answers"]
    rule = procedure.attachments[0]
    given = {
        "whole": a_pdf(rule.kind, rule.max_bytes),
        "media-type": a_pdf(rule.kind, media_type="image/gif"),
        "too-large": a_pdf(rule.kind, rule.max_bytes + 1),
    }
    for code, file in given.items():
        errors = procedure.validate(answers, attachments=[file], on=date(2026, 10, 5))
        found = [(e.pointer, e.code) for e in errors if e.pointer == "/attachments/0"]
        assert found == ([] if code == "whole" else [("/attachments/0", code)])


@pytest.mark.parametrize("procedure", list(PROCEDURES.values()), ids=list(PROCEDURES))
def test_no_problem_repeats_what_was_entered(procedure: Procedure) -> None:
    secret = "ひみつのことば"
    answers = sample(procedure, "valid")["answers"]
    broken = dict.fromkeys(answers, secret) | {secret: secret}
    errors = procedure.validate(broken, attachments=[a_pdf(secret)])
    assert errors
    assert not any(secret in e.message or secret in e.pointer for e in errors)


@pytest.mark.parametrize("procedure", list(PROCEDURES.values()), ids=list(PROCEDURES))
def test_every_sample_is_used_by_a_test(procedure: Procedure) -> None:
    cases_of = yaml.safe_load((procedure.folder / "tests.yaml").read_text(encoding="utf-8"))
    assert {case["sample"] for case in cases_of} == {
        path.stem for path in (procedure.folder / "samples").glob("*.json")
    }


@pytest.mark.parametrize("procedure", list(PROCEDURES.values()), ids=list(PROCEDURES))
def test_every_fact_is_told_in_three_languages_without_personal_data(procedure: Procedure) -> None:
    values = {"reference": "R", "procedure": "P", "next_step": "N", "expected_date": "D"}
    for fact in FACTS:
        for language in ("ja", "ja-simple", "en"):
            template = procedure.messages["templates"][fact][language]
            assert "R" in template["body"].format(**values)
            assert template["title"] == template["title"].format(**values)


@pytest.mark.parametrize("procedure", list(PROCEDURES.values()), ids=list(PROCEDURES))
def test_no_sentence_is_built_around_a_date_that_may_be_unknown(procedure: Procedure) -> None:
    for fact in FACTS:
        for language, before in (("ja-simple", "： "), ("en", ": ")):
            body = procedure.messages["templates"][fact][language]["body"]
            assert body.count("{expected_date}") == body.count(before + "{expected_date}"), (fact, language)


def test_the_claim_is_decided_by_the_core_system_and_the_certification_by_staff() -> None:
    claim, certification = PROCEDURES["CH-01"], PROCEDURES["LC-01"]
    assert (claim.calendar_days_at_most, certification.calendar_days_at_most) == (None, 30)
    assert (claim.business_id, claim.decided_by, claim.requires_signature) == ("027", "core", True)
    assert (certification.business_id, certification.decided_by, certification.requires_signature) == (
        "023",
        "staff",
        False,
    )


def test_every_my_number_of_a_family_is_found_by_its_place() -> None:
    claim = PROCEDURES["CH-01"]
    assert claim.my_number_pointers(sample(claim, "valid_student_age_child")["answers"]) == [
        "/claimant/my_number",
        "/spouse/my_number",
        "/children/0/my_number",
        "/children/1/my_number",
        "/student_age_children/0/my_number",
    ]


def test_a_daughter_is_proxy_and_her_mother_the_subject() -> None:
    certification = PROCEDURES["LC-01"]
    content = sample(certification, "valid")
    roles = certification.parties(content["answers"], date(2026, 10, 5))
    assert [(rule.role, rule.pointer) for rule in roles] == [("subject", "/insured_person"), ("proxy", "/submitter")]

"""The layout of raw packages is a file; one that is not filled keeps the service from starting."""

import pytest

from town_kit.profiles import ProfileIncomplete
from town_kit.raw_packages import load_profile
from town_procedures.catalogue import load_catalogue
from town_procedures.settings import ProceduresSettings
from town_procedures.wiring import SHIPPED
from town_sandbox.mynaportal.profile import sandbox_profile


def test_the_empty_production_profile_is_refused_by_the_names_of_its_gaps() -> None:
    with pytest.raises(ProfileIncomplete) as refused:
        load_profile("production")
    assert "members.signed" in str(refused.value)
    assert "attachment.sha256" in str(refused.value)


def test_the_sandbox_profile_says_what_the_sandbox_sends() -> None:
    ours, theirs = load_profile("sandbox"), sandbox_profile().package
    assert ours.members.signed == theirs.signed_member
    assert ours.members.signature == theirs.signature_member
    assert ours.members.attachments_folder == theirs.attachments_folder
    assert ours.fields.format_value == theirs.answers["format"]
    names = ("procedure_id", "municipality_code", "signed_at", "answers", "attachments")
    assert [getattr(ours.fields, name) for name in names] == [theirs.answers[name] for name in names]


def test_nothing_in_the_sandbox_profile_passes_for_official() -> None:
    profile = load_profile("sandbox")
    parts = (profile, profile.members, profile.fields, profile.attachment)
    assert {part.source for part in parts} == {"ours"}


def test_every_procedure_open_to_the_portal_has_a_number_there() -> None:
    for procedure in load_catalogue(SHIPPED).values():
        assert "mynaportal" not in procedure.channels or procedure.portal_ids("sandbox")


def test_production_does_not_start_on_the_simulators_profile() -> None:
    with pytest.raises(ValueError, match="PACKAGE_PROFILE"):
        ProceduresSettings(
            environment="production",
            audit_anchor="https://anchor.example",
            database_url="postgresql+asyncpg://app@127.0.0.1/procedures",
            issuer="https://identity.example",
            jwks="/nowhere.json",
            vault_public_key="/nowhere.jwk",
        )

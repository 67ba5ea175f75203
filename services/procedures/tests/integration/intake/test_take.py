"""The connector's door: everything is stored; what is right becomes one application, what is wrong waits."""

import asyncio
import io
import zipfile
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from town_kit.auth import Role
from town_kit.ids import new_id
from town_sandbox.jpki import DEMO_HOLDERS, JpkiTestAuthority, VirtualCard
from town_sandbox.mynaportal.package import Attachment, unzip_members

PDF = b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer\n<< /Root 1 0 R >>\n%%EOF\n"
MY_NUMBER = "123456789018"


async def test_a_signed_package_becomes_an_application_with_its_files(portal: Any, authority: Any) -> None:
    answer = await portal.received(portal.package(authority.card()))
    assert answer["outcome"] == "received"
    (row,) = await portal.applications()
    assert str(row.id) == answer["application_id"]
    assert (row.state, row.channel, row.procedure_code) == ("submitted", "mynaportal", "CH-01")
    assert await portal.events(answer["application_id"]) == ["application.submitted"]
    query = (
        "SELECT d.kind, b.recipient, b.size FROM application_documents d JOIN blobs b ON b.id = d.blob_id"
        " WHERE d.application_id = :id"
    )
    (document,) = await portal.api.rows(query, id=row.id)
    assert tuple(document) == ("bank_account_proof", "service", len(PDF))
    (raw,) = await portal.api.rows(
        "SELECT b.recipient FROM raw_packages r JOIN blobs b ON b.id = r.blob_id WHERE r.application_id = :id",
        id=row.id,
    )
    assert raw.recipient == "vault"


async def test_the_one_who_signed_is_the_applicant(portal: Any, authority: Any) -> None:
    await portal.received(portal.package(authority.card()))
    (row,) = await portal.applications()
    first = row.party_refs[0]
    assert first["role"] == "applicant"
    assert first["person_id"] == row.signature["person_id"]


async def test_a_procedure_for_which_a_login_is_enough_needs_no_signature(portal: Any) -> None:
    package = portal.package(None, "LC-01")
    answer = await portal.received(package, mynaportal_procedure_id="sandbox-yokaigo-nintei")
    assert answer["outcome"] == "received"


async def test_the_moment_of_arrival_is_the_portals_but_never_later_than_ours(portal: Any, authority: Any) -> None:
    later = portal.api.clock.now() + timedelta(minutes=5)
    await portal.received(portal.package(authority.card()), received_at=later.isoformat())
    (row,) = await portal.applications()
    assert row.received_at == portal.api.clock.now()


async def test_the_same_package_twice_is_one_application(portal: Any, authority: Any) -> None:
    package = portal.package(authority.card())
    first, second = await portal.received(package), await portal.received(package)
    assert first["outcome"] == "received"
    assert (second["outcome"], second["application_id"]) == ("already-received", first["application_id"])
    assert len(await portal.applications()) == 1
    assert await portal.events(first["application_id"]) == ["application.submitted"]


async def test_the_same_package_eight_times_at_once_is_one_application(portal: Any, authority: Any) -> None:
    package = portal.package(authority.card())
    answers = await asyncio.gather(*(portal.received(package) for _ in range(8)))
    assert sorted(a["outcome"] for a in answers) == ["already-received"] * 7 + ["received"]
    assert len({a["application_id"] for a in answers}) == 1
    assert len(await portal.applications()) == 1


async def test_the_answer_lost_in_a_kill_is_given_again(portal: Any, authority: Any) -> None:
    package, headers = portal.package(authority.card()), portal.connector()
    first = await portal.send(package, headers=headers)
    again = await portal.send(package, headers=headers)
    assert again.content == first.content
    assert again.headers["idempotency-replayed"] == "true"
    assert len(await portal.applications()) == 1


async def test_a_kill_before_the_commit_leaves_nothing_and_the_next_try_takes_it(
    portal: Any, authority: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from town_procedures.intake import service

    async def killed(*_: Any, **__: Any) -> None:
        raise ConnectionResetError

    package = portal.package(authority.card())
    with monkeypatch.context() as patch:
        patch.setattr(service.applications, "record", killed)
        assert (await portal.send(package)).status_code == 503
    assert await portal.applications() == []
    assert await portal.api.rows("SELECT 1 FROM raw_packages WHERE receipt_no = :no", no=portal.receipt_no) == []
    assert (await portal.received(package))["outcome"] == "received"


@pytest.mark.runbook("identity")
async def test_while_identity_is_away_the_connector_is_asked_to_come_again(portal: Any, authority: Any) -> None:
    package = portal.package(authority.card())
    portal.api.signatures.away = True
    answer = await portal.send(package)
    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    assert await portal.api.rows("SELECT 1 FROM raw_packages WHERE receipt_no = :no", no=portal.receipt_no) == []
    portal.api.signatures.away = False
    assert (await portal.received(package))["outcome"] == "received"


async def test_residents_and_staff_have_no_way_in(portal: Any, authority: Any) -> None:
    package = portal.package(authority.card())
    for headers in (portal.api.resident(), portal.api.officer(scopes="packages:intake")):
        assert (await portal.send(package, headers=headers)).status_code == 403


async def test_another_towns_package_is_put_aside(portal: Any, authority: Any) -> None:
    package = portal.package(authority.card(), municipality_code="172014")
    view = await portal.put_aside(package, "wrong-municipality")
    assert "団体コード" in view["happened"]


async def test_a_procedure_nobody_knows_is_put_aside(portal: Any, authority: Any) -> None:
    await portal.put_aside(portal.package(authority.card(), procedure_id="sandbox-nazo"), "procedure-unknown")


async def test_the_procedure_number_of_the_list_must_be_the_signed_one(portal: Any, authority: Any) -> None:
    package = portal.package(authority.card())
    await portal.put_aside(package, "validation-failed", mynaportal_procedure_id="sandbox-yokaigo-nintei")


async def test_wrong_answers_are_put_aside_with_the_places(portal: Any, authority: Any) -> None:
    answers = portal.api.sample("CH-01") | {"claim_date": "2027-02-30"}
    view = await portal.put_aside(portal.package(authority.card(), answers=answers), "validation-failed")
    assert [error["pointer"] for error in view["errors"]] == ["/answers/claim_date"]


async def test_a_wrong_check_digit_is_put_aside_and_the_number_not_repeated(portal: Any, authority: Any) -> None:
    answers = portal.api.sample("CH-01")
    answers["claimant"] = {**answers["claimant"], "my_number": "123456789012"}
    view = await portal.put_aside(portal.package(authority.card(), answers=answers), "validation-failed")
    assert "123456789012" not in str(view)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"no zip at all"])
async def test_what_is_no_archive_is_put_aside(portal: Any, content: bytes) -> None:
    await portal.put_aside(content, "archive-unsafe")


@pytest.mark.parametrize(
    ("member", "reason"),
    [
        (None, "malformed-request"),
        (b"{", "malformed-request"),
        (b"[]", "malformed-request"),
        (b'{"format": "another/1"}', "malformed-request"),
        (b'{"a": 1, "a": 2}', "duplicate-member"),
    ],
)
async def test_an_unreadable_signed_member_is_put_aside(
    portal: Any, authority: Any, member: bytes | None, reason: str
) -> None:
    await portal.put_aside(portal.altered(portal.package(authority.card()), application__json=member), reason)


async def test_a_character_the_database_cannot_hold_is_put_aside(portal: Any, authority: Any) -> None:
    answers = portal.api.sample("CH-01") | {"remarks": "a\x00b"}
    await portal.put_aside(portal.package(authority.card(), answers=answers), "malformed-request")


async def test_an_attachment_changed_after_signing_is_put_aside(portal: Any, authority: Any) -> None:
    package = portal.package(authority.card())
    changed = portal.altered(package, **{"attachments/01__pdf": PDF.replace(b"Catalog", b"Cataloh")})
    await portal.put_aside(changed, "signature-invalid")


async def test_an_attachment_nobody_signed_is_put_aside(portal: Any, authority: Any) -> None:
    package = portal.altered(portal.package(authority.card()), **{"attachments/02__pdf": PDF})
    await portal.put_aside(package, "signature-invalid")


async def test_an_attachment_that_runs_something_is_put_aside(portal: Any, authority: Any) -> None:
    active = PDF.replace(b"/Type /Catalog", b"/Type /Catalog /OpenAction << /S /JavaScript >>")
    files = [Attachment("bank_account_proof", "a.pdf", "application/pdf", active)]
    await portal.put_aside(portal.package(authority.card(), attachments=files), "document-unsafe")


@pytest.mark.parametrize(
    ("changes", "code"), [({"types": ("image/png",)}, "media-type"), ({"max_bytes": 50}, "too-large")]
)
async def test_an_attachment_against_the_rule_of_its_kind_is_put_aside_with_the_place(
    portal: Any, authority: Any, changes: dict[str, Any], code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalogue = portal.api.service.extras["ports"].catalogue
    claim = catalogue["CH-01"]
    package = portal.package(authority.card())
    rules = tuple(r.model_copy(update=changes) if r.kind == "bank_account_proof" else r for r in claim.attachments)
    answer = await portal.received(package)
    assert answer["outcome"] == "received"
    portal.receipt_no = f"R-{new_id().hex[:20]}"
    with monkeypatch.context() as patch:
        patch.setitem(catalogue, "CH-01", replace(claim, attachments=rules))
        aside = await portal.received(package)
    assert (aside["outcome"], aside["reason"]) == ("quarantined", "validation-failed")
    path = f"/v1/quarantined-packages/{aside['quarantined_package_id']}"
    view = (await portal.api.client.get(path, headers=portal.clerk())).json()
    assert [(error["pointer"], error["code"]) for error in view["errors"]] == [("/attachments/0", code)]


async def test_a_package_of_a_procedure_that_does_not_list_the_portal_is_put_aside(
    portal: Any, authority: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalogue = portal.api.service.extras["ports"].catalogue
    claim = catalogue["CH-01"]
    with monkeypatch.context() as patch:
        patch.setitem(catalogue, "CH-01", replace(claim, channels=("app", "counter")))
        aside = await portal.received(portal.package(authority.card()))
    assert (aside["outcome"], aside["reason"]) == ("quarantined", "procedure-unknown")


@pytest.mark.case("D-01")
async def test_a_card_of_another_authority_with_the_same_name_is_put_aside(portal: Any) -> None:
    foreign = VirtualCard.issue(JpkiTestAuthority.create(), DEMO_HOLDERS["hanako"], now=portal.api.clock.now())
    await portal.put_aside(portal.package(foreign), "jpki-untrusted")


@pytest.mark.case("D-02")
async def test_a_card_that_ran_out_the_day_before_is_put_aside(portal: Any, authority: Any) -> None:
    now = portal.api.clock.now()
    card = authority.card(now=now - timedelta(days=100), lifetime=timedelta(days=99))
    await portal.put_aside(portal.package(card), "jpki-expired")


@pytest.mark.case("D-03")
async def test_a_revoked_card_is_put_aside(portal: Any, authority: Any) -> None:
    card = authority.card(now=portal.api.clock.now() - timedelta(days=10))
    authority.ca.revoke(card.sign_certificate, portal.api.clock.now() - timedelta(days=1))
    authority.publish()
    await portal.put_aside(portal.package(card), "jpki-revoked")


@pytest.mark.case("D-05")
async def test_a_signature_by_the_login_key_is_put_aside(portal: Any, authority: Any) -> None:
    card = authority.card()
    package = portal.package(card)
    signed = unzip_members(package)["application.json"]
    wrong = card.sign_with_auth(signed, portal.api.clock.now())
    await portal.put_aside(portal.altered(package, signature__p7s=wrong), "jpki-wrong-purpose")


@pytest.mark.case("D-06")
@pytest.mark.parametrize("weak", [{"key": "rsa1024"}, {"sha1": True}])
async def test_a_weak_key_or_digest_is_put_aside(portal: Any, authority: Any, weak: dict[str, Any]) -> None:
    await portal.put_aside(portal.package(authority.card(**weak)), "jpki-weak-algorithm")


@pytest.mark.case("D-07")
async def test_a_package_without_its_signature_is_put_aside(portal: Any, authority: Any) -> None:
    package = portal.altered(portal.package(authority.card()), signature__p7s=None)
    await portal.put_aside(package, "signature-invalid")


@pytest.mark.case("D-07")
async def test_answers_changed_after_signing_are_put_aside(portal: Any, authority: Any) -> None:
    package = portal.package(authority.card())
    signed = unzip_members(package)["application.json"].replace(b"2026-10-05", b"2026-10-06")
    await portal.put_aside(portal.altered(package, application__json=signed), "signature-invalid")


@pytest.mark.case("D-10")
async def test_an_unknown_birth_date_and_substitute_characters_are_taken_with_a_flag(
    portal: Any, authority: Any
) -> None:
    holder = DEMO_HOLDERS["hanako"].but(birth="000000000", name_substitutes="01000")
    card = VirtualCard.issue(authority.ca, holder, now=portal.api.clock.now())
    assert (await portal.received(portal.package(card)))["outcome"] == "received"
    (row,) = await portal.applications()
    assert {"birth_unknown", "name_substituted"} <= set(row.flags)
    assert (row.signature["birth"], row.signature["name_substitutes"]) == (None, "01000")
    assert set(row.signature["address_substitutes"]) == {"0"}
    assert not any(word in str(row.signature) for word in (holder.name, holder.address, "female"))


async def test_a_card_revoked_between_the_portals_receipt_and_ours_stays_good_with_a_flag(
    portal: Any, authority: Any
) -> None:
    now = portal.api.clock.now()
    card = authority.card(now=now - timedelta(days=10))
    package = portal.package(card, signed_at=now - timedelta(hours=3))
    authority.ca.revoke(card.sign_certificate, now - timedelta(hours=1))
    authority.publish()
    answer = await portal.received(package, received_at=(now - timedelta(hours=2)).isoformat())
    assert answer["outcome"] == "received"
    (row,) = await portal.applications()
    assert (row.state, row.signature["revocation"], row.signature["revoked_later"]) == ("submitted", "good", True)
    assert "revoked_later" in row.flags


async def test_what_another_card_signed_is_taken_with_a_flag_and_waits_for_a_clerk(portal: Any, authority: Any) -> None:
    card = VirtualCard.issue(authority.ca, DEMO_HOLDERS["taro"], now=portal.api.clock.now())
    assert (await portal.received(portal.package(card)))["outcome"] == "received"
    while await portal.accept():
        pass
    (row,) = await portal.applications()
    assert {"name_differs", "birth_differs", "sex_differs"} <= set(row.flags)
    assert row.state == "submitted"


def archive_of(name: str, content: bytes, mode: int = 0) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        info = zipfile.ZipInfo(name)
        info.external_attr = mode << 16
        info.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(info, content)
    return buffer.getvalue()


@pytest.mark.case("D-13")
async def test_an_archive_that_swells_is_put_aside(portal: Any) -> None:
    bomb = archive_of("attachments/01.pdf", bytes(50_000_000))
    assert len(bomb) < 60_000
    await portal.put_aside(bomb, "archive-unsafe")


@pytest.mark.case("D-14")
@pytest.mark.parametrize(("name", "mode"), [("../../x", 0), ("attachments/link", 0o120777), ("/etc/x", 0)])
async def test_an_archive_that_climbs_or_links_is_put_aside(portal: Any, name: str, mode: int) -> None:
    await portal.put_aside(archive_of(name, b"/etc/passwd", mode), "archive-unsafe")


@pytest.mark.case("D-39")
async def test_a_my_number_in_free_text_is_encrypted_and_flagged_for_a_clerk(portal: Any, authority: Any) -> None:
    text = f"私の番号は {MY_NUMBER} です"
    answers = portal.api.sample("CH-01") | {"remarks": text}
    assert (await portal.received(portal.package(authority.card(), answers=answers)))["outcome"] == "received"
    (row,) = await portal.applications()
    assert row.answers["remarks"] == ""
    assert "my_number_in_text" in row.flags
    (sealed,) = [n for n in row.my_numbers if n["pointer"] == "/remarks"]
    assert sealed["role"] == "free_text"
    assert portal.api.vault.decrypt(sealed["jwe"]).decode() == text
    headers = portal.api.issuer.headers(Role.SERVICE, "applications:hand-over")
    document = (await portal.api.client.get(f"/v1/applications/{row.id}/hand-over", headers=headers)).json()
    assert {n["pointer"] for n in document["my_numbers"]} == {n["pointer"] for n in row.my_numbers} - {"/remarks"}


@pytest.mark.case("D-38")
async def test_a_my_number_stands_nowhere_in_the_database_the_answers_or_the_logs(
    portal: Any, authority: Any, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level("DEBUG")
    answers = portal.api.sample("CH-01") | {"remarks": f"番号 {MY_NUMBER}"}
    taken = await portal.send(portal.package(authority.card(), answers=answers))
    assert taken.json()["outcome"] == "received"
    portal.receipt_no = f"R-{new_id().hex[:20]}"
    aside = await portal.send(portal.package(authority.card(), municipality_code="172014"))
    assert aside.json()["outcome"] == "quarantined"
    found = await everywhere(portal.api, MY_NUMBER)
    assert found == []
    said = capsys.readouterr()
    assert MY_NUMBER not in taken.text + aside.text + caplog.text + said.out + said.err


async def everywhere(api: Any, digits: str) -> list[str]:
    """Every column of the database in which these digits stand, in clear or in the encodings of JSON and base64."""
    columns = await api.rows(
        "SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = 'public'"
    )
    assert len(columns) > 100
    found = []
    for table, column, kind in columns:
        needle = (
            "position(convert_to(:digits, 'UTF8') IN {0}) > 0"
            if kind == "bytea"
            else "{0}::text LIKE '%' || :digits || '%'"
        )
        query = f'SELECT 1 FROM "{table}" WHERE ' + needle.format(f'"{column}"') + " LIMIT 1"
        if await api.rows(query, digits=digits):
            found.append(f"{table}.{column}")
    return found

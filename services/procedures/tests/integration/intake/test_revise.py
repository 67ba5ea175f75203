"""Other content under the same receipt number: current before acceptance, a clerk's matter afterwards."""

from typing import Any


def other(portal: Any) -> dict[str, Any]:
    answers: dict[str, Any] = portal.api.sample("CH-01") | {"claim_date": "2026-10-06"}
    return answers


async def test_before_acceptance_other_content_becomes_current(portal: Any, authority: Any) -> None:
    card = authority.card()
    first = await portal.received(portal.package(card))
    (before,) = await portal.applications()
    second = await portal.received(portal.package(card, answers=other(portal)))
    assert (second["outcome"], second["application_id"]) == ("received", first["application_id"])
    (row,) = await portal.applications()
    assert (row.revision, row.version, row.reference) == (2, 2, before.reference)
    assert row.answers["claim_date"] == "2026-10-06"
    assert "revised" in row.flags
    assert await portal.events(first["application_id"]) == ["application.submitted"]
    documents = await portal.api.rows("SELECT 1 FROM application_documents WHERE application_id = :id", id=row.id)
    assert len(documents) == 1
    parties = await portal.api.rows("SELECT 1 FROM application_parties WHERE application_id = :id", id=row.id)
    assert len(parties) == len(row.party_refs)


async def test_the_files_of_the_content_before_are_removed_but_its_raw_package_is_kept(
    portal: Any, authority: Any
) -> None:
    card = authority.card()
    await portal.received(portal.package(card))
    (row,) = await portal.applications()
    query = "SELECT blob_id FROM application_documents WHERE application_id = :id"
    (before,) = await portal.api.rows(query, id=row.id)
    await portal.received(portal.package(card, answers=other(portal)))
    assert await portal.api.rows("SELECT 1 FROM blobs WHERE id = :id", id=before.blob_id) == []
    raws = await portal.api.rows("SELECT 1 FROM raw_packages WHERE application_id = :id", id=row.id)
    assert len(raws) == 2


async def test_the_same_content_in_another_archive_changes_nothing(portal: Any, authority: Any) -> None:
    card = authority.card()
    package = portal.package(card)
    first = await portal.received(package)
    again = await portal.received(portal.altered(package, form__pdf=b"%PDF-1.4 another layout %%EOF"))
    assert (again["outcome"], again["application_id"]) == ("already-received", first["application_id"])
    (row,) = await portal.applications()
    assert row.revision == 1


async def test_after_acceptance_other_content_waits_for_a_clerk(portal: Any, authority: Any) -> None:
    card = authority.card()
    await portal.received(portal.package(card))
    while await portal.accept():
        pass
    answer = await portal.received(portal.package(card, answers=other(portal)))
    assert (answer["outcome"], answer["reason"]) == ("quarantined", "revision-needs-clerk")
    (row,) = await portal.applications()
    assert (row.revision, row.state) == (1, "accepted")
    assert row.answers["claim_date"] == "2026-10-05"


async def test_content_signed_by_another_card_waits_for_a_clerk(portal: Any, authority: Any) -> None:
    await portal.received(portal.package(authority.card()))
    answer = await portal.received(portal.package(authority.card(), answers=other(portal)))
    assert (answer["outcome"], answer["reason"]) == ("quarantined", "revision-needs-clerk")


async def test_a_protected_party_stays_protected(portal: Any, authority: Any) -> None:
    card = authority.card()
    await portal.received(portal.package(card))
    (row,) = await portal.applications()
    await portal.api.rows(
        "UPDATE applications SET party_refs = jsonb_set(party_refs, '{0,protected}', 'true')"
        " WHERE id = :id RETURNING 1",
        id=row.id,
    )
    await portal.received(portal.package(card, answers=other(portal)))
    (row,) = await portal.applications()
    assert row.party_refs[0]["protected"] is True


async def test_a_good_signature_ends_the_wait_for_the_first_one(portal: Any, authority: Any) -> None:
    card = authority.card()
    portal.lists_run_out()
    assert (await portal.received(portal.package(card)))["outcome"] == "pending"
    authority.publish()
    answer = await portal.received(portal.package(card, answers=other(portal)))
    assert answer["outcome"] == "received"
    assert await portal.events(answer["application_id"]) == [
        "application.pending_verification",
        "application.verified",
    ]

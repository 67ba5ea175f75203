"""Uploading a file: what is stored can be named once, what is not named goes, what is not a document is refused."""

import asyncio
import io
import zipfile
from datetime import timedelta
from functools import partial
from typing import Any

import pikepdf
import pytest

from town_kit.blobs import sweep_job
from town_kit.ids import new_id
from town_kit.testing.files import nothing_on_disk
from town_procedures.attachments.sweep import sweep_batch

PDF = b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer\n<< /Root 1 0 R >>\n%%EOF\n"


async def stored(api: Any, attachment_id: str) -> tuple[int, int]:
    (row,) = await api.rows(
        "SELECT (SELECT count(*) FROM attachments WHERE id = cast(:id AS uuid)),"
        " (SELECT count(*) FROM blobs b JOIN attachments a ON a.blob_id = b.id WHERE a.id = cast(:id AS uuid))",
        id=attachment_id,
    )
    return tuple(row)


async def test_a_file_nobody_names_goes_after_a_day_and_not_before(api: Any) -> None:
    file = await api.attach(api.resident(), "insured_card")
    blobs = api.service.extras["ports"].blobs
    api.clock.advance(timedelta(hours=23))
    while await sweep_batch(api.service.database, blobs, api.clock):
        pass
    assert await stored(api, file["id"]) == (1, 1)
    api.clock.advance(timedelta(hours=2))
    while await sweep_batch(api.service.database, blobs, api.clock):
        pass
    assert await stored(api, file["id"]) == (0, 0)


async def test_a_file_an_application_holds_outlives_every_sweep(api: Any) -> None:
    file = await api.attach(api.resident(), "insured_card")
    body = {"procedure_code": "LC-01", "answers": api.sample("LC-01"), "attachments": [file]}
    answer = await api.client.post("/v1/applications", json=body, headers=api.resident())
    assert answer.status_code == 201, answer.text
    api.clock.advance(timedelta(days=3))
    while await sweep_batch(api.service.database, api.service.extras["ports"].blobs, api.clock):
        pass
    await sweep_job(api.service.database, api.clock).run()
    assert await stored(api, file["id"]) == (1, 1)


async def test_a_file_is_named_by_its_hash_and_only_by_who_sent_it(api: Any) -> None:
    file = await api.attach(api.resident(), "insured_card")
    body = {"procedure_code": "LC-01", "answers": api.sample("LC-01")}
    other_hash, nobodys = {**file, "sha256": "0" * 64}, {**file, "id": str(new_id())}
    told = []
    for named, who in ((other_hash, api.resident()), (file, api.resident(new_id())), (nobodys, api.resident())):
        answer = await api.client.post("/v1/applications", json={**body, "attachments": [named]}, headers=who)
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["pointer"] == "/attachments/0"
        told.append({**answer.json(), "trace_id": None})
    assert told[1] == told[2], "somebody else's file is answered as one that is not there"


async def test_what_is_not_the_document_it_says_is_refused(api: Any) -> None:
    headers = {**api.resident(), "Content-Type": "application/pdf"}
    path = f"/v1/attachments/{new_id()}"
    answer = await api.client.put(path, params={"kind": "insured_card"}, content=b"MZ not a pdf", headers=headers)
    assert answer.json()["type"] == "urn:town:problem:document-unsafe"
    answer = await api.client.put(
        path, params={"kind": "insured_card"}, content=b"x", headers={**api.resident(), "Content-Type": "text/html"}
    )
    assert answer.status_code == 415


@pytest.mark.case("D-16")
@pytest.mark.parametrize("mode", [pikepdf.ObjectStreamMode.disable, pikepdf.ObjectStreamMode.generate])
async def test_a_pdf_with_a_script_and_a_file_is_refused_and_leaves_nothing(api: Any, mode: Any) -> None:
    content = io.BytesIO()
    with pikepdf.Pdf.new() as pdf:
        pdf.add_blank_page()
        action = pikepdf.Dictionary(S=pikepdf.Name.JavaScript, JS="app.alert(1)")
        pdf.Root.OpenAction = pdf.make_indirect(action)
        pdf.attachments["x.exe"] = b"MZ"
        pdf.save(content, object_stream_mode=mode)
    await refused_and_nothing_left(api, content.getvalue(), "document-unsafe")


async def refused_and_nothing_left(api: Any, content: bytes, slug: str, media_type: str = "application/pdf") -> None:
    """S0 at this door; what had come is gone from the disk as well."""
    status = 415 if slug == "unsupported-media" else 422
    send = partial(api.upload, api.resident(), "insured_card", content=content, media_type=media_type)
    then = partial(api.upload, api.resident(), "insured_card")
    with nothing_on_disk():
        await api.refuses(send, status, slug, action="attachment.upload", then=then)


def zipped(name: str, content: bytes, mode: int = 0) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        info = zipfile.ZipInfo(name)
        info.external_attr = mode << 16
        info.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(info, content)
    return buffer.getvalue()


UNSAFE = {
    "a bomb": zipped("zeros.pdf", bytes(50_000_000)),
    "one that climbs": zipped("../../x", b"x"),
    "a link": zipped("link", b"/etc/passwd", 0o120777),
}


@pytest.mark.case("D-13")
@pytest.mark.case("D-14")
@pytest.mark.parametrize("what", list(UNSAFE))
async def test_an_archive_is_no_attachment_and_none_of_it_is_inflated(api: Any, what: str) -> None:
    """Under its own name no archive is taken at all; under the name of a PDF it is found by looking."""
    await refused_and_nothing_left(api, UNSAFE[what], "unsupported-media", "application/zip")
    await refused_and_nothing_left(api, UNSAFE[what], "archive-unsafe")


async def test_an_upload_larger_than_the_memory_leaves_nothing_on_disk(api: Any) -> None:
    padded = PDF.replace(b"%%EOF", b"% " + b"0" * 600_000 + b"\n%%EOF")
    with nothing_on_disk():
        await api.attach(api.resident(), "insured_card", content=padded)
    await refused_and_nothing_left(api, b"MZ" + padded, "document-unsafe")


async def test_an_id_somebody_else_has_is_answered_as_not_there_and_hers_is_kept(api: Any) -> None:
    mine = await api.attach(api.resident(), "insured_card")
    (before,) = await api.rows("SELECT * FROM attachments WHERE id = cast(:id AS uuid)", id=mine["id"])
    stranger = api.resident(new_id())
    send = partial(api.upload, stranger, "insured_card", attachment_id=mine["id"])
    then = partial(api.upload, stranger, "insured_card")
    await api.refuses(send, 404, "not-found", action="attachment.upload", then=then)
    (after,) = await api.rows("SELECT * FROM attachments WHERE id = cast(:id AS uuid)", id=mine["id"])
    assert after == before


async def test_an_id_of_ones_own_is_taken_once(api: Any) -> None:
    mine = await api.attach(api.resident(), "insured_card")
    send = partial(api.upload, api.resident(), "insured_card", attachment_id=mine["id"])
    then = partial(api.upload, api.resident(), "insured_card")
    await api.refuses(send, 409, "state-conflict", action="attachment.upload", then=then)


async def test_an_id_sent_many_times_at_once_is_one_file(api: Any) -> None:
    one = new_id()
    answers = await asyncio.gather(*(api.upload(api.resident(), "insured_card", attachment_id=one) for _ in range(8)))
    assert sorted(a.status_code for a in answers) == [201] + [409] * 7
    assert await stored(api, str(one)) == (1, 1)

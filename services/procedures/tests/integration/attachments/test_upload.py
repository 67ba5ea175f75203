"""Uploading a file: what is stored can be named once, what is not named goes, what is not a document is refused."""

import io
from datetime import timedelta
from typing import Any

import pikepdf
import pytest

from town_kit.blobs import sweep_job
from town_kit.ids import new_id
from town_procedures.attachments.sweep import sweep_batch


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
    other_hash = {**file, "sha256": "0" * 64}
    for named, who in ((other_hash, api.resident()), (file, api.resident(new_id()))):
        answer = await api.client.post("/v1/applications", json={**body, "attachments": [named]}, headers=who)
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["pointer"] == "/attachments/0"


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
    attachment_id = str(new_id())
    answer = await api.client.put(
        f"/v1/attachments/{attachment_id}",
        params={"kind": "insured_card"},
        content=content.getvalue(),
        headers={**api.resident(), "Content-Type": "application/pdf"},
    )
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:town:problem:document-unsafe")
    assert await stored(api, attachment_id) == (0, 0)

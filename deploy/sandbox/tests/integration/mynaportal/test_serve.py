"""The portal hands packages out and takes statuses in, and knows a repeat."""

import base64
import hashlib
import http.server
import io
import json
import subprocess
import threading
import time
import zipfile
from pathlib import Path
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook

STATUS = {"jokyoRenban": 1, "jokyoCode": "20", "hasseiNichiji": "2027-01-04T09:00:00+09:00", "tsuchiBun": "受付"}
PDF = b"%PDF-1.4 an attachment"


def file_application(sandbox: Any, **changes: Any) -> str:
    body = {
        "procedure_id": "sandbox-ch-01",
        "procedure_title": "児童手当 認定請求",
        "card": "hanako",
        "answers": {"claimant": {"name": "見本　花子"}, "children": [{"name": "見本　一郎"}]},
        "attachments": [
            {
                "kind": "bank_book",
                "filename": "通帳.pdf",
                "media_type": "application/pdf",
                "content": base64.b64encode(PDF).decode(),
            }
        ],
    } | changes
    with sandbox.client("mynaportal") as client:
        answer = client.post("/_citizen/applications", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["receipt_no"])


@pytest.fixture
def town(sandbox: Any) -> Any:
    """A logged-in town."""
    issued = sandbox.credentials.portal
    with sandbox.client("mynaportal") as client:
        login = client.post("/api/ninsho/login", json={"riyoshaId": issued.login_id, "password": issued.password})
        client.headers["X-Ninsho-Token"] = login.json()["ninshoToken"]
        yield client


def test_a_wrong_password_or_no_token_is_refused(sandbox: Any) -> None:
    with sandbox.client("mynaportal") as client:
        assert client.post("/api/ninsho/login", json={"riyoshaId": "x", "password": "y"}).status_code == 401
        assert client.get(LIST).status_code == 401


LIST = "/api/shinsei/ichiran"


def pages(town: httpx.Client, cursor: str, **params: int) -> tuple[list[str], str]:
    """What waits after a cursor, and where the end is now."""
    seen: list[str] = []
    while page := (answer := town.get(LIST, params={"kaishiIchi": cursor, **params}).json())["shinseiIchiran"]:
        assert len(page) <= params.get("kensu", 50)
        seen += [item["uketsukeBango"] for item in page]
        cursor = answer["tsugiKaishiIchi"]
    return seen, cursor


def test_pages_follow_the_order_of_arrival_and_a_cursor_goes_on_where_it_was(sandbox: Any, town: httpx.Client) -> None:
    _, cursor = pages(town, "0")
    filed = [file_application(sandbox) for _ in range(5)]
    assert pages(town, cursor, kensu=2)[0] == filed


def test_the_package_binds_its_attachments_by_hash_and_openssl_accepts_its_signature(
    sandbox: Any, town: httpx.Client, tmp_path: Path
) -> None:
    receipt_no = file_application(sandbox)
    archive = zipfile.ZipFile(io.BytesIO(town.get(f"/api/shinsei/{receipt_no}").content))
    signed = archive.read("application.json")
    document = json.loads(signed)
    assert document["municipality_code"] == "174611"
    [attachment] = document["attachments"]
    assert attachment["sha256"] == hashlib.sha256(PDF).hexdigest()
    assert archive.read(attachment["member"]) == PDF
    assert archive.read("form.pdf").startswith(b"%PDF-1.5")
    (tmp_path / "content").write_bytes(signed)
    (tmp_path / "signature").write_bytes(archive.read("signature.p7s"))
    verify = ["openssl", "cms", "-verify", "-noverify", "-binary", "-inform", "DER", "-in", tmp_path / "signature"]
    judged = subprocess.run([*verify, "-content", tmp_path / "content", "-out", "/dev/null"], capture_output=True)
    assert judged.returncode == 0, judged.stderr


def test_a_revision_keeps_the_number_and_comes_again_in_the_list(sandbox: Any, town: httpx.Client) -> None:
    receipt_no = file_application(sandbox)
    _, cursor = pages(town, "0")
    first = town.get(f"/api/shinsei/{receipt_no}").content
    assert file_application(sandbox, revises=receipt_no, answers={"corrected": True}) == receipt_no
    assert pages(town, cursor)[0] == [receipt_no]
    assert pages(town, "0")[0].count(receipt_no) == 1
    assert town.get(f"/api/shinsei/{receipt_no}").content != first


def test_a_status_pushed_again_is_a_repeat_and_other_content_under_its_id_a_conflict(
    sandbox: Any, town: httpx.Client
) -> None:
    receipt_no = file_application(sandbox)
    path = f"/api/shinsei/{receipt_no}/jokyo"
    assert town.post(path, json=STATUS).json() == {"jushinZumi": False}
    assert town.post(path, json=STATUS).json() == {"jushinZumi": True}
    assert town.post(path, json=STATUS | {"jokyoCode": "70"}).status_code == 409
    assert town.post(path, json=STATUS | {"jokyoRenban": 9, "jokyoCode": "00"}).status_code == 400
    town.post(path, json=STATUS | {"jokyoRenban": 2, "jokyoCode": "90"})
    shown = town.get(f"/_citizen/applications/{receipt_no}").json()
    assert shown["label"] == "完了"
    assert [step["sequence"] for step in shown["timeline"]] == [1, 2]
    kinds = [entry["kind"] for entry in sandbox.received("mynaportal", receipt_no=receipt_no)]
    assert kinds == ["application", "status", "status_repeated", "status_conflict", "status"]
    assert "完了" in town.get(f"/citizen/applications/{receipt_no}").text


def test_a_dropped_reply_means_the_work_was_done(sandbox: Any, town: httpx.Client) -> None:
    receipt_no = file_application(sandbox)
    path = f"/api/shinsei/{receipt_no}/jokyo"
    assert town.post("/_faults", json={"kind": "drop_reply", "path": "/jokyo"}).status_code == 201
    with pytest.raises(httpx.TransportError):
        town.post(path, json=STATUS)
    assert town.post(path, json=STATUS).json() == {"jushinZumi": True}


def test_a_refused_call_did_nothing_and_an_unknown_fault_is_refused(sandbox: Any, town: httpx.Client) -> None:
    receipt_no = file_application(sandbox)
    town.post("/_faults", json={"kind": "refuse", "count": 1})
    with pytest.raises(httpx.TransportError):
        town.get(f"/api/shinsei/{receipt_no}")
    assert sandbox.received("mynaportal", kind="fetched", receipt_no=receipt_no) == []
    town.post("/_faults", json={"kind": "unavailable"})
    assert town.get(LIST).status_code == 503
    assert town.post("/_faults", json={"kind": "earthquake"}).status_code == 422
    assert town.delete("/_faults").status_code == 204


def test_a_new_application_is_announced_by_a_webhook_the_standard_library_accepts(sandbox: Any) -> None:
    arrived: list[tuple[dict[str, str], bytes]] = []

    class Town(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            arrived.append((dict(self.headers), self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(202)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Town)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sandbox.configure(webhook_url=f"http://127.0.0.1:{server.server_port}/webhooks/mynaportal")
    try:
        receipt_no = file_application(sandbox)
        deadline = time.monotonic() + 5
        while not arrived and time.monotonic() < deadline:
            time.sleep(0.02)
    finally:
        sandbox.configure(webhook_url=None)
        server.shutdown()
    headers, body = arrived[0]
    lowered = {name.lower(): value for name, value in headers.items()}
    event = Webhook(sandbox.credentials.portal.webhook_secret).verify(body, lowered)
    assert event["data"] == {"uketsukeBango": receipt_no}

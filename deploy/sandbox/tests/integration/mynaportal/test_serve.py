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
        login = client.post("/login", json={"client_id": issued.login_id, "client_secret": issued.password})
        client.headers["Authorization"] = f"Bearer {login.json()['token']}"
        yield client


def test_a_wrong_password_or_no_token_is_refused(sandbox: Any) -> None:
    with sandbox.client("mynaportal") as client:
        assert client.post("/login", json={"client_id": "x", "client_secret": "y"}).status_code == 401
        assert client.get("/applications").status_code == 401


def test_pages_follow_the_order_of_arrival_and_a_cursor_goes_on_where_it_was(sandbox: Any, town: httpx.Client) -> None:
    start = town.get("/applications", params={"limit": 50}).json()
    while start["applications"]:
        start = town.get("/applications", params={"after": start["next"]}).json()
    filed = [file_application(sandbox) for _ in range(5)]
    seen, cursor = [], start["next"]
    while page := (answer := town.get("/applications", params={"after": cursor, "limit": 2}).json())["applications"]:
        assert len(page) <= 2
        seen += [item["receipt_no"] for item in page]
        cursor = answer["next"]
    assert seen == filed


def test_the_package_binds_its_attachments_by_hash_and_openssl_accepts_its_signature(
    sandbox: Any, town: httpx.Client, tmp_path: Path
) -> None:
    receipt_no = file_application(sandbox)
    archive = zipfile.ZipFile(io.BytesIO(town.get(f"/applications/{receipt_no}/package").content))
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
    cursor = "0"
    while (page := town.get("/applications", params={"after": cursor}).json())["applications"]:
        cursor = page["next"]
    assert file_application(sandbox, revises=receipt_no, answers={"corrected": True}) == receipt_no
    page = town.get("/applications", params={"after": cursor}).json()["applications"]
    assert page == [{"receipt_no": receipt_no, "revision": 2}]
    first, second = (town.get(f"/applications/{receipt_no}/package", params={"revision": n}).content for n in (1, 2))
    assert first != second


def test_a_status_pushed_again_is_a_repeat_and_other_content_under_its_id_a_conflict(
    sandbox: Any, town: httpx.Client
) -> None:
    receipt_no = file_application(sandbox)
    status = {"status_id": f"{receipt_no}-1", "sequence": 1, "status": "uketsuke-zumi", "occurred_at": "2027-01-04"}
    path = f"/applications/{receipt_no}/statuses"
    assert town.post(path, json=status).json() == {"repeated": False}
    assert town.post(path, json=status).json() == {"repeated": True}
    assert town.post(path, json=status | {"status": "kyakka"}).status_code == 409
    assert town.post(path, json=status | {"status_id": "z", "status": "invented"}).status_code == 400
    town.post(path, json=status | {"status_id": f"{receipt_no}-2", "sequence": 2, "status": "kanryo"})
    shown = town.get(f"/_citizen/applications/{receipt_no}").json()
    assert shown["label"] == "完了"
    assert [step["sequence"] for step in shown["timeline"]] == [1, 2]
    kinds = [entry["kind"] for entry in sandbox.received("mynaportal", receipt_no=receipt_no)]
    assert kinds == ["application", "status", "status_repeated", "status_conflict", "status"]
    assert "完了" in town.get(f"/citizen/applications/{receipt_no}").text


def test_a_dropped_reply_means_the_work_was_done(sandbox: Any, town: httpx.Client) -> None:
    receipt_no = file_application(sandbox)
    status = {"status_id": "s-1", "sequence": 1, "status": "uketsuke-zumi", "occurred_at": "2027-01-04"}
    path = f"/applications/{receipt_no}/statuses"
    assert town.post("/_faults", json={"kind": "drop_reply", "path": "/statuses"}).status_code == 201
    with pytest.raises(httpx.TransportError):
        town.post(path, json=status)
    assert town.post(path, json=status).json() == {"repeated": True}


def test_a_refused_call_did_nothing_and_an_unknown_fault_is_refused(sandbox: Any, town: httpx.Client) -> None:
    receipt_no = file_application(sandbox)
    town.post("/_faults", json={"kind": "refuse", "count": 1})
    with pytest.raises(httpx.TransportError):
        town.get(f"/applications/{receipt_no}/package")
    assert sandbox.received("mynaportal", kind="fetched", receipt_no=receipt_no) == []
    town.post("/_faults", json={"kind": "unavailable"})
    assert town.get("/applications").status_code == 503
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
    assert event["data"] == {"receipt_no": receipt_no}

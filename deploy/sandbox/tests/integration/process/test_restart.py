"""A restarted sandbox has the same addresses and forgets nothing."""

from pathlib import Path
from typing import Any


def test_a_second_start_keeps_addresses_credentials_and_what_was_filed(tmp_path: Path, start_sandbox: Any) -> None:
    first = start_sandbox(tmp_path)
    with first.client("mynaportal") as client:
        body = {"procedure_id": "p", "answers": {}, "card": None}
        receipt_no = client.post("/_citizen/applications", json=body).json()["receipt_no"]
    before = first.credentials
    first.process.kill()
    first.process.wait(10)
    second = start_sandbox(tmp_path)
    assert second.addresses == first.addresses
    assert second.credentials == before
    with second.client("mynaportal") as client:
        assert client.get(f"/_citizen/applications/{receipt_no}").json()["label"] == "送信済"


def test_secrets_are_readable_by_their_owner_alone(sandbox: Any) -> None:
    assert (sandbox.directory / "credentials.json").stat().st_mode & 0o077 == 0
    assert sandbox.directory.stat().st_mode & 0o077 == 0

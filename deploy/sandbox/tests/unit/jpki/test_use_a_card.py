"""A person at a shell signs with a virtual card."""

import base64
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from town_sandbox.jpki.cli import app

CONTENT = "申請の内容".encode()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    result = CliRunner().invoke(app, ["ca", "init", "--folder", str(tmp_path / "jpki")])
    assert result.exit_code == 0, result.output
    return tmp_path / "jpki"


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_a_signature_made_at_a_shell_is_good_for_openssl(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "application.json").write_bytes(CONTENT)
    arguments = ["card", "sign", str(tmp_path / "application.json"), "--card", "fumi", "--folder", str(folder)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    (tmp_path / "application.cms").write_bytes(base64.b64decode(result.output))
    command = ["openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", str(tmp_path / "application.cms"),
               "-content", str(tmp_path / "application.json"), "-purpose", "any",
               "-CAfile", str(folder / "anchors" / "sign_ca_2024.pem")]  # fmt: skip
    judged = subprocess.run(command, capture_output=True, check=False)
    assert judged.returncode == 0, judged.stderr
    assert judged.stdout == CONTENT


def test_a_card_answers_a_challenge_with_its_certificate(folder: Path) -> None:
    challenge = base64.b64encode(b"challenge").decode()
    result = CliRunner().invoke(app, ["card", "login", challenge, "--folder", str(folder)])
    assert set(json.loads(result.output)) == {"certificate", "signature"}


def test_a_second_start_keeps_the_same_authority_and_cards(folder: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder.rglob("*.pem")}
    assert CliRunner().invoke(app, ["ca", "init", "--folder", str(folder)]).exit_code == 0
    assert {path.name: path.read_bytes() for path in folder.rglob("*.pem")} == before


def test_private_keys_are_readable_by_their_owner_alone(folder: Path) -> None:
    assert all(path.stat().st_mode & 0o077 == 0 for path in folder.rglob("*.key.pem"))

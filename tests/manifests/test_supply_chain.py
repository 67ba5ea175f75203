"""What every change passes lists its libraries, and asks for advisories; an answer that does not come is told."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.manifests.rendering import ROOT

# Stands where pip-audit does: what it answers for the version that is known to be bad, and for the lock.
TOOL = """#!{python}
import json, pathlib, sys
answers = json.loads(pathlib.Path({answers!r}).read_text())
named = dict(zip(sys.argv, sys.argv[1:]))
answer = answers["lock" if named["--requirement"] == "requirements.lock" else "proof"]
if answer is None:
    sys.exit(1)
pathlib.Path(named["--output"]).write_text(json.dumps({{"dependencies": answer, "fixes": []}}))
sys.exit(any(one["vulns"] for one in answer))
"""
BAD = [{"name": "jinja2", "version": "2.4.1", "vulns": [{"id": "PYSEC-2014-8", "fix_versions": ["2.7.2"]}]}]
GOOD = [{"name": "httpx", "version": "1", "vulns": []}]
NOT_MENDABLE = [{"name": "httpx", "version": "1", "vulns": [{"id": "CVE-1", "fix_versions": []}]}]
FOUND = [{"name": "httpx", "version": "1", "vulns": [{"id": "CVE-1", "fix_versions": ["2"]}]}]


@pytest.mark.parametrize(
    ("proof", "lock", "code", "told"),
    [
        (None, FOUND, 0, "NOT RUN"),
        (GOOD, GOOD, 0, "NOT RUN"),
        (BAD, None, 0, "NOT RUN"),
        (BAD, GOOD, 0, "0 advisories"),
        (BAD, NOT_MENDABLE, 0, "CVE-1: no fixed version yet"),
        (BAD, FOUND, 1, "httpx 1 CVE-1: 2"),
    ],
)
def test_an_advisory_fails_and_silence_is_told(
    tmp_path: Path, proof: object, lock: object, code: int, told: str
) -> None:
    answers, tool = tmp_path / "answers.json", tmp_path / "pip-audit"
    answers.write_text(json.dumps({"proof": proof, "lock": lock}))
    tool.write_text(TOOL.format(python=sys.executable, answers=str(answers)))
    tool.chmod(0o755)
    command = [sys.executable, ".ci/audit", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, told in done.stdout) == (code, True), done.stdout + done.stderr


def test_every_change_is_listed_audited_checked_and_tested() -> None:
    lines = [line.partition("#")[0].strip() for line in (ROOT / ".ci" / "run").read_text().splitlines()]
    assert [line for line in lines if line.startswith("make ")] == [
        "make setup",
        "make sbom",
        "make audit",
        "make check",
        "make test",
    ]


def test_the_auditor_is_locked_like_every_other_library() -> None:
    assert "\npip-audit==" in (ROOT / "requirements.lock").read_text()

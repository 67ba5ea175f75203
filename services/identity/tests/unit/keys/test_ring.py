"""A key is announced before it signs, stays known after, and then goes."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from town_identity.keys import KeyRing, create_ring, is_half_way, rotate
from town_identity.keys.access_tokens import AccessTokens
from town_identity.keys.ring import RingUnusable
from town_kit import failpoints
from town_kit.auth import Role
from town_kit.clock import FixedClock
from town_kit.ids import new_id

CLOCK = FixedClock("2026-11-24T12:00+09:00")
ROTATE = "import sys; from pathlib import Path; from town_identity.keys import rotate; rotate(Path(sys.argv[1]))"


def issue(tokens: AccessTokens) -> str:
    return tokens.issue(subject=new_id(), role=Role.SERVICE, client_id="service:a", scopes=["b", "a"], seconds=60).token


def test_a_new_ring_signs_with_one_key_and_announces_another(tmp_path: Path) -> None:
    ring = create_ring(tmp_path / "ring")
    assert len(ring.public) == 2
    assert ring.active.kid in ring.public


def test_a_token_outlives_one_rotation_and_not_two(tmp_path: Path) -> None:
    create_ring(tmp_path)
    token = issue(AccessTokens(tmp_path, "i", CLOCK))
    rotate(tmp_path)
    assert AccessTokens(tmp_path, "i", CLOCK).read(token)
    rotate(tmp_path)
    assert AccessTokens(tmp_path, "i", CLOCK).read(token) is None
    assert len(list(tmp_path.glob("*.pem"))) == 3


@pytest.mark.parametrize("place", ["before-list", "after-list"])
def test_a_rotation_that_was_killed_is_ended_by_the_next_run_which_begins_no_other(tmp_path: Path, place: str) -> None:
    ring, armed = tmp_path / "ring", tmp_path / f"mid-key-rotation.{place}"
    before = create_ring(ring)
    rotate(ring)
    token = issue(AccessTokens(ring, "i", CLOCK))
    signing = KeyRing.load(ring).active.kid
    armed.touch()
    environment = {**os.environ, failpoints.FOLDER: str(tmp_path)}
    killed = subprocess.run([sys.executable, "-c", ROTATE, str(ring)], env=environment, check=False)
    assert (killed.returncode, armed.exists(), is_half_way(ring)) == (-signal.SIGKILL, False, True)
    assert AccessTokens(ring, "i", CLOCK).read(token)
    after = rotate(ring)
    assert not is_half_way(ring)
    assert signing != after.active.kid
    assert AccessTokens(ring, "i", CLOCK).read(token), "the key before it went with the one before that"
    assert before.active.kid not in after.public
    assert {file.stem for file in ring.glob("*.pem")} == set(after.public)


def test_private_keys_are_readable_by_their_owner_alone(tmp_path: Path) -> None:
    create_ring(tmp_path)
    assert all(file.stat().st_mode & 0o077 == 0 for file in tmp_path.glob("*.pem"))


@pytest.mark.parametrize("content", ["", "keys: []", "keys: [{kid: x, state: active}]", "keys: [{kid: x, state: old}]"])
def test_a_ring_without_exactly_one_active_key_stops_the_start(tmp_path: Path, content: str) -> None:
    (tmp_path / "ring.yaml").write_text(content)
    with pytest.raises(RingUnusable):
        KeyRing.load(tmp_path)


def test_the_claims_say_who_for_whom_and_until_when(tmp_path: Path) -> None:
    create_ring(tmp_path)
    tokens = AccessTokens(tmp_path, "https://identity.test", CLOCK)
    claims = tokens.read(issue(tokens))
    assert claims is not None
    assert {k: claims[k] for k in ("iss", "aud", "role", "client_id", "scope", "amr")} == {
        "iss": "https://identity.test", "aud": "town", "role": "service", "client_id": "service:a", "scope": "a b",
        "amr": [],
    }  # fmt: skip
    assert claims["exp"] - claims["iat"] == 60

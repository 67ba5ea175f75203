"""Signing keys and their states. A key is announced before it signs and stays known after, so that nobody is refused.

``ring.yaml`` in the folder lists ``{kid, state}``; each key stands beside it as ``<kid>.pem``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import yaml

from town_kit.auth.jose import PublicKey, SigningKey, generate_signing_key
from town_kit.failpoints import failpoint


class KeyState(StrEnum):
    """Where a key is in its life; a destroyed key no longer stands in the ring."""

    PRE_ACTIVE = "pre-active"
    ACTIVE = "active"
    VERIFY_ONLY = "verify-only"


class RingUnusable(RuntimeError):
    """The key ring cannot be used: the service does not start."""


@dataclass(frozen=True, slots=True)
class KeyRing:
    """``active`` signs; ``public`` holds every key of the ring for those who check."""

    active: SigningKey
    public: Mapping[str, PublicKey]

    @classmethod
    def load(cls, folder: Path) -> "KeyRing":
        """Read a ring; raises :class:`RingUnusable` unless exactly one key is active and every file is there."""
        try:
            entries = [(str(e["kid"]), KeyState(e["state"])) for e in _entries(folder)]
            keys = {kid: SigningKey.load(folder / f"{kid}.pem", kid=kid) for kid, _ in entries}
        except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
            raise RingUnusable(f"the key ring in {folder} cannot be read: {type(error).__name__}") from error
        active = [kid for kid, state in entries if state is KeyState.ACTIVE]
        if len(active) != 1:
            raise RingUnusable(f"the key ring in {folder} has {len(active)} active keys; it needs one")
        return cls(keys[active[0]], {kid: key.public for kid, key in keys.items()})


class RingKeys:
    """The ring as a key source for this service's own token check, read anew when asked."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def fetch(self) -> Mapping[str, PublicKey]:
        """The public keys by kid."""
        return KeyRing.load(self._folder).public


def create_ring(folder: Path) -> KeyRing:
    """A new ring with one active key and the next one already announced."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    states = (KeyState.ACTIVE, KeyState.PRE_ACTIVE)
    _write(folder, [(_new_key(folder), state) for state in states])
    return KeyRing.load(folder)


def rotate(folder: Path) -> KeyRing:
    """The announced key becomes active, the active one only checks, a new one is announced, the oldest goes.

    Run it again no sooner than the longest token lives, or tokens in use are refused.
    """
    moved: list[tuple[str, KeyState]] = []
    gone: list[str] = []
    for entry in _entries(folder):
        kid, state = str(entry["kid"]), KeyState(entry["state"])
        if state is KeyState.VERIFY_ONLY:
            gone.append(kid)
        else:
            moved.append((kid, KeyState.ACTIVE if state is KeyState.PRE_ACTIVE else KeyState.VERIFY_ONLY))
    announced = _new_key(folder)
    failpoint("mid-key-rotation", "before-list")
    _write(folder, [*moved, (announced, KeyState.PRE_ACTIVE)])
    failpoint("mid-key-rotation", "after-list")
    for kid in gone:  # after the list, so that a reader never finds a listed key missing
        (folder / f"{kid}.pem").unlink()
    return KeyRing.load(folder)


def _new_key(folder: Path) -> str:
    key = generate_signing_key()
    key.save(folder / f"{key.kid}.pem")
    return key.kid


def _entries(folder: Path) -> list[dict[str, str]]:
    return list(yaml.safe_load((folder / "ring.yaml").read_text(encoding="utf-8"))["keys"])


def _write(folder: Path, entries: list[tuple[str, KeyState]]) -> None:
    text = yaml.safe_dump({"keys": [{"kid": kid, "state": state.value} for kid, state in entries]})
    temporary = folder / "ring.yaml.new"
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(folder / "ring.yaml")

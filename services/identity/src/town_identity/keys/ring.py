"""Signing keys and their states. A key is announced before it signs and stays known after, so that nobody is refused.

``ring.yaml`` in the folder lists ``{kid, state}``; each key stands beside it as ``<kid>.pem``.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import yaml

from town_kit.auth.jose import PublicKey, SigningKey, generate_signing_key
from town_kit.failpoints import failpoint

RING = "ring.yaml"
PLAN = "ring.yaml.next"  # the list a rotation is on its way to


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
    _replace(folder / RING, _list([(_new_key(folder), state) for state in states]))
    return KeyRing.load(folder)


def rotate(folder: Path) -> KeyRing:
    """The announced key becomes active, the active one only checks, a new one is announced, the oldest goes.

    What was decided is written down first: a change that was killed half way is finished by the next run, which then
    begins no other. Run it again no sooner than the longest token lives, or tokens in use are refused.
    """
    plan = folder / PLAN
    if not plan.exists():
        _replace(plan, _turned(folder))
    failpoint("mid-key-rotation", "before-list")
    _replace(folder / RING, plan.read_text(encoding="utf-8"))
    failpoint("mid-key-rotation", "after-list")
    ring = KeyRing.load(folder)
    for key in folder.glob("*.pem"):  # after the list, so that a reader never finds a listed key missing
        if key.stem not in ring.public:
            key.unlink()
    plan.unlink()
    return ring


def is_half_way(folder: Path) -> bool:
    """Whether a rotation was begun and not ended."""
    return (folder / PLAN).exists()


def _turned(folder: Path) -> str:
    """The list after the next turn, with its new key already in its file."""
    moved = [
        (str(entry["kid"]), KeyState.ACTIVE if entry["state"] == KeyState.PRE_ACTIVE else KeyState.VERIFY_ONLY)
        for entry in _entries(folder)
        if entry["state"] != KeyState.VERIFY_ONLY
    ]
    return _list([*moved, (_new_key(folder), KeyState.PRE_ACTIVE)])


def _new_key(folder: Path) -> str:
    key = generate_signing_key()
    key.save(folder / f"{key.kid}.pem")
    return key.kid


def _entries(folder: Path) -> list[dict[str, str]]:
    return list(yaml.safe_load((folder / RING).read_text(encoding="utf-8"))["keys"])


def _list(entries: list[tuple[str, KeyState]]) -> str:
    return yaml.safe_dump({"keys": [{"kid": kid, "state": state.value} for kid, state in entries]})


def _replace(path: Path, text: str) -> None:
    """Write a whole file or none; what is there survives a power cut."""
    temporary = path.with_name(f"{path.name}.new")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)

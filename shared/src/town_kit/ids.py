"""Identifiers made in the application: time-ordered UUIDs and references a resident can read out on the phone."""

import secrets
import time
from uuid import NAMESPACE_URL, UUID, uuid5

_SPEAKABLE = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford: without I, L, O and U, which are misheard
_STABLE = uuid5(NAMESPACE_URL, "urn:town:stable-id")
_HEARD_AS = str.maketrans({"I": "1", "L": "1", "O": "0", "-": None, " ": None})


def new_id() -> UUID:
    """A UUID version 7 (RFC 9562): milliseconds first, so that indexes grow at one end."""
    value = (time.time_ns() // 1_000_000) << 80 | secrets.randbits(80)
    value = value & ~(0xF << 76) | 0x7 << 76
    return UUID(int=value & ~(0x3 << 62) | 0x2 << 62)


def _check_character(body: str) -> str:
    """ISO 7064 MOD 37-like sum over 31, a prime below the alphabet: finds each single error and each swap."""
    total = 0
    for character in body:
        total = (total * 2 + _SPEAKABLE.index(character)) % 31
    return _SPEAKABLE[total]


def stable_id(*parts: str) -> UUID:
    """The id that follows from what something is about (UUID version 5): the same again after a restore."""
    return uuid5(_STABLE, "\x1f".join(parts))


def reference(prefix: str = "", *, seed: bytes | None = None) -> str:
    """A speakable reference (受付の控え番号) such as ``A-7K2M-Q9TX-3``; the last character checks the others.

    Args:
        prefix: stands in front.
        seed: at least 8 bytes nobody can guess, from which the reference follows; by default it is random.
    """
    drawn = seed if seed is not None else secrets.token_bytes(8)
    body = "".join(_SPEAKABLE[byte % len(_SPEAKABLE)] for byte in drawn[:8])
    parts = [body[:4], body[4:], _check_character(body)]
    return "-".join([prefix, *parts] if prefix else parts)


def is_reference(text: str) -> bool:
    """Whether the check character of a reference is right; letters that are misheard are read as digits."""
    body = text.upper().rsplit("-", 3)[-3:]
    digits = "".join(body).translate(_HEARD_AS)
    if len(digits) != 9 or any(c not in _SPEAKABLE for c in digits):
        return False
    return _check_character(digits[:-1]) == digits[-1]

"""What stands in the envelopes: user name, password and the secret of the second factor (TOTP, RFC 6238)."""

import asyncio
import os
import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache, partial

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.twofactor import InvalidToken
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from town_identity.sealed_staff_accounts.domain import STEP_SECONDS, steps_around

# Crockford's alphabet: nothing in it is mistaken for something else on paper.
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_READ_AS = str.maketrans({"O": "0", "I": "1", "L": "1", "-": None, " ": None})
_USERNAME_LETTERS = 8
_PASSWORD_GROUPS, _GROUP_LETTERS = 5, 5  # 125 bits
_SECRET_BYTES = 20
_DIGITS = 6
# OWASP Password Storage Cheat Sheet: Argon2id with 19 MiB, two passes, one lane; 30 ms here.
_PASSES, _LANES, _KIBIBYTES, _HASH_BYTES = 2, 1, 19 * 1024, 32
_one_at_a_time = ThreadPoolExecutor(1, "sealed-accounts")  # a crowd of tries must not fill a small machine


@dataclass(frozen=True, slots=True)
class Envelope:
    """What is printed once and kept nowhere: ``otp_uri`` is what an authenticator reads (otpauth://)."""

    username: str
    password: str = field(repr=False)
    secret: bytes = field(repr=False)
    otp_uri: str = field(repr=False)


def new_envelope(username: str | None = None) -> Envelope:
    """Fresh secrets; with ``username``, for an account that has one already."""
    name = username or _letters(_USERNAME_LETTERS)
    password = "-".join(_letters(_GROUP_LETTERS) for _ in range(_PASSWORD_GROUPS))
    secret = os.urandom(_SECRET_BYTES)
    return Envelope(name, password, secret, _otp(secret).get_provisioning_uri(name, "town-sealed-account"))


def as_read(typed: str) -> str:
    """A user name or password as it was printed, from what somebody typed off paper."""
    return typed.upper().translate(_READ_AS)


def hash_password(password: str) -> str:
    """Argon2id in PHC form."""
    made = Argon2id(salt=os.urandom(16), length=_HASH_BYTES, iterations=_PASSES, lanes=_LANES, memory_cost=_KIBIBYTES)
    return made.derive_phc_encoded(as_read(password).encode())


async def password_matches(typed: str, password_hash: str | None) -> bool:
    """Whether that is the password. Takes as long for an account that does not exist (None)."""
    compare = partial(_matches, typed, password_hash or _nobodys())
    return await asyncio.get_running_loop().run_in_executor(_one_at_a_time, compare) and password_hash is not None


def step_of_code(code: str, secret: bytes, at: datetime) -> int | None:
    """The time step around ``at`` whose code this is, or None."""
    otp = _otp(secret)
    found = None
    for step in steps_around(at):
        try:
            otp.verify(code.encode(), step * STEP_SECONDS)
        except InvalidToken:
            continue
        found = step
    return found


def code_of(secret: bytes, at: datetime) -> str:
    """The code an authenticator shows at that moment."""
    return _otp(secret).generate(int(at.timestamp())).decode()


def _matches(typed: str, password_hash: str) -> bool:
    try:
        Argon2id.verify_phc_encoded(as_read(typed).encode(), password_hash)
    except InvalidKey:
        return False
    return True


@cache
def _nobodys() -> str:
    return hash_password(secrets.token_urlsafe(32))


def _otp(secret: bytes) -> TOTP:
    # SHA-1 is what every authenticator and hardware token reads; HMAC-SHA-1 is not broken (RFC 6238, section 1.2).
    return TOTP(secret, _DIGITS, SHA1(), STEP_SECONDS)  # noqa: S303 - what RFC 6238 says  # nosec B303


def _letters(count: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(count))

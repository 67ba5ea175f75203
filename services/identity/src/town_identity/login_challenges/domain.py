"""The bytes a card signs to log in."""

from datetime import datetime, timedelta

LIFETIME = timedelta(minutes=5)
NONCE_BYTES = 32


def to_be_signed(domain: str, origin: str, nonce: bytes, issued_at: datetime) -> bytes:
    """``domain`` NUL ``origin`` ``nonce`` (32 bytes) ``issued_at`` (RFC 3339, UTC, seconds).

    The last two have a fixed length, so no two challenges share their bytes. The domain keeps a login from ever being
    a signature over anything else.
    """
    stamp = issued_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    return domain.encode() + b"\0" + origin.encode() + nonce + stamp.encode()

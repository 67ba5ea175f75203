"""A body that is a file: streamed to a temporary file with a limit and an HMAC, before any transaction begins."""

import hmac
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import IO

from starlette.requests import Request

from town_kit.problems import PayloadTooLarge, UnsupportedMedia

_IN_MEMORY = 256 * 1024
_CHUNK = 256 * 1024


@dataclass(slots=True)
class Upload:
    """What arrived: a seekable file, its size in bytes, its media type, and an HMAC over its bytes."""

    file: IO[bytes]
    size: int
    media_type: str
    digest: bytes

    async def chunks(self) -> AsyncIterator[bytes]:
        """The content from the start, in pieces of 256 KiB."""
        self.file.seek(0)
        while chunk := self.file.read(_CHUNK):
            yield chunk

    def close(self) -> None:
        """Remove the temporary file."""
        self.file.close()


async def receive(request: Request, *, media_types: frozenset[str], limit: int, secret: bytes) -> Upload:
    """Stream the body of ``request`` to a temporary file.

    Raises:
        UnsupportedMedia: the content type is none of ``media_types``.
        PayloadTooLarge: more than ``limit`` bytes came; what had come is removed.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in media_types:
        raise UnsupportedMedia("この種類のファイルは受け付けていません。案内にある種類で送ってください。")
    file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - closed by the request path
    digest, size = hmac.new(secret, digestmod="sha256"), 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            _check_size(size, limit)
            digest.update(chunk)
            file.write(chunk)
    except BaseException:
        file.close()
        raise
    return Upload(file=file, size=size, media_type=media_type, digest=digest.digest())


def _check_size(size: int, limit: int) -> None:
    if size > limit:
        raise PayloadTooLarge(f"ファイルは {limit // (1024 * 1024)} MB までです。小さくするか、分けて送ってください。")

"""Bytes nobody meant to send, for every reader: each may refuse in its own words, and in no other."""

import argparse
import base64
import hashlib
import io
import json
import random
import sys
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import pikepdf
from tests.fuzz import cards, shapes
from tests.fuzz.shapes import Shape

from town_kit.archives import inspect_document, open_archive, sniff
from town_kit.auth.jose import TokenRefused, generate_signing_key, parse_jwks, sign, verify
from town_kit.auth.tokens import _principal
from town_kit.idempotency import canonical, strict_json
from town_kit.pagination import decode, encode
from town_kit.problems import Problem
from town_kit.raw_packages import load_profile, read_package

NOW = datetime(2027, 1, 4, 9, tzinfo=UTC)
KEY = generate_signing_key()
PROFILE = load_profile("sandbox")
TOKENS_OF = ("\x00", "0", "-1", "1e999", "null", "true", "[]", "{}", '"', "\\ud800", "\\u0000", "．", "９", "\udcff")

DEEPER = (b"[", b"{", b"\xa0\x80", b"0\x80", b'{"a":')


@dataclass(frozen=True)
class Target:
    """A reader, what it may raise, good examples to spoil, and how one is changed that keeps the format's shape."""

    name: str
    read: Callable[[bytes], object]
    may_raise: tuple[type[Exception], ...]
    seeds: list[bytes]
    shape: Shape | None = None


def package(*attachments: bytes) -> bytes:
    """A raw package: the signed member, a signature, and files that are those the signed member names."""
    names, entry = PROFILE.fields, PROFILE.attachment
    document: dict[str, object] = {}
    for name in (names.format, names.procedure_id, names.municipality_code, names.signed_at):
        document[name] = "1"
    files = {f"{PROFILE.members.attachments_folder}{n}.pdf": content for n, content in enumerate(attachments)}
    said = {entry.kind: "proof", entry.filename: "証明.pdf", entry.media_type: "application/pdf"}
    kept = [
        said | {entry.member: name, entry.size: len(content), entry.sha256: sha256(content)}
        for name, content in files.items()
    ]
    document |= {names.format: names.format_value, names.answers: {"a": [1, "二"]}, names.attachments: kept}
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(PROFILE.members.signed, json.dumps(document))
        archive.writestr(PROFILE.members.signature, b"0")
        for name, content in files.items():
            archive.writestr(name, content)
    return made.getvalue()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def pdf(*, object_streams: bool = False) -> bytes:
    """A page, as another program than ours writes it."""
    made, file = pikepdf.Pdf.new(), io.BytesIO()
    made.add_blank_page()
    mode = pikepdf.ObjectStreamMode.generate if object_streams else pikepdf.ObjectStreamMode.disable
    made.save(file, object_stream_mode=mode, static_id=True)
    return file.getvalue()


def archive_of(content: bytes) -> None:
    with open_archive(io.BytesIO(content)) as archive:
        for name in archive.members:
            archive.read(name)


def package_of(content: bytes) -> None:
    with open_archive(io.BytesIO(content)) as archive:
        read_package(archive, PROFILE)


def signed_member(content: bytes) -> None:
    """The signed member alone, so that its JSON is spoilt and not the ZIP around it."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr(PROFILE.members.signed, content)
    package_of(made.getvalue())


def document_of(content: bytes) -> None:
    inspect_document(io.BytesIO(content), sniff(content[:4096]) or "application/pdf")


def token_of(content: bytes) -> None:
    text = content.decode("utf-8", "surrogateescape")
    _principal(verify(text, {KEY.kid: KEY.public}, typ="at+jwt", issuer="i", audience="town", now=NOW))


def claims_of(content: bytes) -> None:
    """Claims under a genuine signature: what an issuer gone wrong would send."""
    claims = strict_json(content)
    if isinstance(claims, dict):
        try:
            token = sign(claims, KEY, "at+jwt")
        except UnicodeEncodeError:  # half a character cannot be signed
            return
        token_of(token.encode())


def jwks_of(content: bytes) -> None:
    document = strict_json(content)
    if isinstance(document, dict):
        parse_jwks(document)


def seeds() -> dict[str, list[bytes]]:
    at = int(NOW.timestamp())
    claims = {"iss": "i", "aud": "town", "sub": str(UUID(int=7)), "jti": "a", "iat": at, "exp": at + 300}
    claims |= {"role": "staff", "client_id": "c", "scope": "a b", "amr": ["pwd"]}
    whole = package()
    packed = pdf(object_streams=True)
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        member = archive.read(PROFILE.members.signed)
    return {
        "zip": [whole, package(pdf(), packed)],
        "member": [member],
        "document": [pdf(), packed, b"\x89PNG\r\n\x1a\n", b"<a/>"],
        "json": [b'{"a": [1, 2.5, -3e7, "\\u3042", null, true], "b": {"c": ""}}'],
        "token": [sign(claims, KEY, "at+jwt").encode()],
        "claims": [json.dumps(claims).encode()],
        "jwks": [json.dumps({"keys": [KEY.public.as_jwk()]}).encode()],
        "cursor": [encode([NOW, UUID(int=7), 3, "x"]).encode()],
        "plain": [b'["2027-01-04T09:00:00+09:00", "00000000-0000-0000-0000-000000000007", 3, "x"]'],
    }


def targets() -> list[Target]:
    made = seeds()

    def cursor(content: bytes) -> None:
        found = decode(content.decode("utf-8", "surrogateescape"), datetime, UUID, int, str)
        if found is not None:
            found[0].astimezone(UTC)
            found[3].encode().decode()

    def plain(content: bytes) -> None:
        cursor(base64.urlsafe_b64encode(content).rstrip(b"="))

    refused: tuple[type[Exception], ...] = (Problem,)
    return [
        *(Target(name, read, may_raise, seeds, shape) for name, read, may_raise, seeds, shape in cards.targets()),
        Target("ZIP", archive_of, refused, made["zip"], shapes.archive),
        Target("raw package", package_of, refused, made["zip"], shapes.archive),
        Target("signed member", signed_member, refused, made["member"]),
        Target("documents", document_of, refused, made["document"]),
        Target("strict JSON", lambda content: canonical(strict_json(content)), refused, made["json"]),
        Target("tokens", token_of, (Problem, TokenRefused), made["token"]),
        Target("token claims", claims_of, (Problem, TokenRefused), made["claims"]),
        Target("JWKS", jwks_of, (Problem, ValueError), made["jwks"]),
        Target("cursors", cursor, refused, made["cursor"]),
        Target("cursor values", plain, refused, made["plain"]),
    ]


def spoilt(seed: bytes, chance: random.Random) -> bytes:
    """The seed after one to four changes."""
    content = bytearray(seed)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(content) + 1)
        match chance.randrange(7):
            case 0 if content:
                content[at % len(content)] ^= 1 << chance.randrange(8)
            case 1 if content:
                content[at % len(content)] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
            case 2:
                del content[at : at + chance.randint(1, 16)]
            case 3:
                content[at:at] = chance.randbytes(chance.randint(1, 16))
            case 4:
                content[at:at] = content[at : at + chance.randint(1, 64)]
            case 5:
                content[at:at] = chance.choice(TOKENS_OF).encode("utf-8", "surrogateescape")
            case 6:
                content[at:at] = chance.choice((b"[", b"{", b"\xa0\x80", b"0\x80", b'{"a":')) * chance.choice(
                    (1, 9, 5000)
                )
    return bytes(content)


def fuzz(target: Target, seconds: float, most: int, chance: random.Random) -> tuple[int, int, float, list[str]]:
    """How many inputs were read and refused, the slowest in seconds, and every other exception with its input."""
    read = refused = 0
    slowest, failures, until = 0.0, dict[str, str](), time.monotonic() + seconds
    for seed in target.seeds:
        target.read(seed)  # a seed that is refused would find nothing
    while read < most and time.monotonic() < until:
        seed = chance.choice(target.seeds)
        if target.shape is not None and chance.random() < 0.5:
            content = target.shape(seed, chance)
        else:
            content = spoilt(seed, chance) if chance.random() < 0.95 else chance.randbytes(64)
        began = time.perf_counter()
        read += 1
        try:
            target.read(content)
        except target.may_raise:
            refused += 1
        except Exception as error:
            where = error.__traceback__
            while where is not None and where.tb_next is not None:
                where = where.tb_next
            place = f"{where.tb_frame.f_code.co_filename.rpartition('/')[2]}:{where.tb_lineno}" if where else ""
            failures.setdefault(f"{type(error).__name__} at {place}", content[:200].hex())
        slowest = max(slowest, time.perf_counter() - began)
    return read, refused, slowest, [f"{target.name}: {what} for {content}" for what, content in failures.items()]


def main() -> int:
    """Run every reader for its share of the time; 1 when something was found."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="for all readers together")
    parser.add_argument("--most", type=int, default=200_000, help="inputs for one reader at most")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    asked = parser.parse_args()
    found, all_targets = list[str](), targets()
    print(f"seed {asked.seed}\n{'reader':<16}{'read':>10}{'refused':>10}{'slowest ms':>12}{'failures':>10}")
    for target in all_targets:
        chance = random.Random(f"{asked.seed} {target.name}")
        read, refused, slowest, failures = fuzz(target, asked.seconds / len(all_targets), asked.most, chance)
        print(f"{target.name:<16}{read:>10}{refused:>10}{slowest * 1000:>12.1f}{len(failures):>10}", flush=True)
        found += failures
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

"""`jpki-verify`: a whole verdict over one signature, from CMS bytes to answer, without a database.

Strict reading, algorithms, leaf rules, path to a pinned anchor, policy, attributes of the subjectAltName, signature and
the revocation index in memory. The reference is what no verifier can do without: reading the leaf, checking that the
authority signed it, and checking one signature. The two take turns, so that a busy moment falls on both.
"""

import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.hazmat.primitives.serialization import Encoding
from tests.load.measure import Measure

from town_identity.jpki import (
    PRODUCTION_ANCHORS,
    CrlFolder,
    JpkiVerifier,
    Realm,
    Status,
    load_anchors,
    load_profile,
)
from town_identity.jpki.cms import read_signed_message
from town_kit.clock import FixedClock
from town_sandbox.jpki import DEMO_HOLDERS, JpkiTestAuthority, VirtualCard
from town_sandbox.jpki.authority import KeyKind
from town_sandbox.jpki.samples import CONTENT, DIGESTS, ISSUED, NOW

NAMES: dict[KeyKind, str] = {"rsa": "rsa2048", "p384": "p384"}
GENERATIONS: dict[KeyKind, str] = {"rsa": "2024", "p384": "2026"}
ROUNDS = 40
ROUND_SECONDS = 0.1
REVOKED = 1000
CARDS = 8
Action = Callable[[], Awaitable[None]]


async def run() -> list[Measure]:
    """Verdicts a second of one core for each kind of key, and their share of bare cryptography."""
    found: list[Measure] = []
    with tempfile.TemporaryDirectory(prefix="town-bench-") as folder:
        authority = JpkiTestAuthority.create()
        verifier = make_verifier(authority, Path(folder))
        for kind, name in NAMES.items():
            cards = [VirtualCard.issue(authority, DEMO_HOLDERS["hanako"], now=ISSUED, key=kind) for _ in range(CARDS)]
            messages = [card.sign(CONTENT, NOW) for card in cards]
            verdicts, bare = await taking_turns(
                [judged(verifier, message) for message in messages],
                [bare_cryptography(authority, kind, message) for message in messages],
            )
            found += [
                Measure(f"jpki_verify.{name}.per_second", verdicts, "verdicts/s", bare, verdicts / bare),
                Measure(f"jpki_verify.{name}.ratio", verdicts / bare, "of bare cryptography", 1.0, verdicts / bare),
            ]
    return found


def make_verifier(authority: JpkiTestAuthority, folder: Path) -> JpkiVerifier:
    """A verifier over every generation of both realms; its lists revoke 1,000 other certificates."""
    stranger = VirtualCard.issue(authority, DEMO_HOLDERS["hanako"], now=ISSUED)
    authority.revoke(stranger.sign_certificate, ISSUED)
    issuer = authority.issuer_of(stranger.sign_certificate).fingerprint
    revoked = authority.revoked[issuer, stranger.sign_certificate.serial_number]
    authority.revoked |= {(issuer, serial): revoked for serial in range(1, REVOKED)}
    authority.write_anchors(folder / "anchors")
    authority.publish_crls(folder / "crl", NOW - timedelta(hours=2))
    anchors = load_anchors({Realm.PRODUCTION: PRODUCTION_ANCHORS, Realm.TEST: folder / "anchors"}, "development")
    lists = CrlFolder(folder / "crl", anchors, FixedClock(NOW))
    lists.refresh()
    return JpkiVerifier(anchors, load_profile(), lists)


def judged(verifier: JpkiVerifier, message: bytes) -> Action:
    """One verdict, which must be good: a refusal would be quicker."""

    async def once() -> None:
        if (await verifier.verify_signature(message, DIGESTS, NOW)).revocation.status is not Status.GOOD:
            raise RuntimeError("the benchmark's own signature was not found good")

    return once


def bare_cryptography(authority: JpkiTestAuthority, kind: KeyKind, message: bytes) -> Action:
    """Read the leaf, check that the authority signed it, check the signature."""
    read = read_signed_message(message)
    der, signature, signed = read.certificate.public_bytes(Encoding.DER), read.signature, read.signed_bytes
    issuer = authority.key("sign", GENERATIONS[kind]).certificate

    async def once() -> None:
        leaf = x509.load_der_x509_certificate(der)
        leaf.verify_directly_issued_by(issuer)
        key = leaf.public_key()
        if isinstance(key, EllipticCurvePublicKey):
            key.verify(signature, signed, ECDSA(SHA384()))
        elif isinstance(key, RSAPublicKey):
            key.verify(signature, signed, PKCS1v15(), SHA256())

    return once


async def taking_turns(ours: list[Action], theirs: list[Action]) -> tuple[float, float]:
    """How often a second each runs: the median of ``ROUNDS`` rounds, one after the other."""
    rates: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        for chosen, rate in zip((ours, theirs), rates, strict=True):
            rate.append(await _rate(chosen))
    return sorted(rates[0])[ROUNDS // 2], sorted(rates[1])[ROUNDS // 2]


async def _rate(actions: list[Action]) -> float:
    count = 0
    began = time.perf_counter()
    while (spent := time.perf_counter() - began) < ROUND_SECONDS:
        for action in actions:
            await action()
        count += len(actions)
    return count / spent

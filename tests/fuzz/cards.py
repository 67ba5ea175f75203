"""What comes from a card, its authority and the register: CMS, certificates, revocation lists, the 番号紐付 file.

A change under a signature is refused by the signature alone, so that nothing behind it would be read. Where a target
says *signed*, what is changed is signed again by the authority.
"""

import asyncio
import hashlib
import random
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.fuzz import shapes
from tests.fuzz.shapes import Node, Shape

from town_identity.jpki import CrlFolder, JpkiVerifier, Realm, load_anchors, load_profile
from town_identity.jpki.attributes import read_attributes
from town_identity.jpki.certificate import check_shape, load_certificate, partition_of, strong_key
from town_identity.jpki.cms import read_signed_message
from town_identity.jpki.crl_file import CrlRefused, read_crl
from town_identity.number_links import load_number_link_profile
from town_identity.number_links.read import read_rows
from town_kit.clock import FixedClock
from town_kit.problems import Problem
from town_sandbox.jpki import DEMO_HOLDERS, JpkiTestAuthority, VirtualCard
from town_sandbox.jpki.number_links import number_link_file
from town_sandbox.jpki.signing import raw_signature

NOW = datetime(2027, 1, 4, 9, tzinfo=UTC)
DAY = timedelta(days=1)
CHALLENGE, CONTENT = b"challenge", b"x"
DIGESTS = {"sha256": hashlib.sha256(CONTENT).digest()}
Reader = Callable[[bytes], object]


def targets() -> list[tuple[str, Reader, tuple[type[Exception], ...], list[bytes], Shape]]:
    """Name, reader, what it may raise, seeds and shape of each."""
    authority = JpkiTestAuthority.create(generations=["2024"])
    card, other = (
        VirtualCard.issue(authority, holder, now=NOW - 9 * DAY) for holder in list(DEMO_HOLDERS.values())[:2]
    )
    authority.revoke(other.sign_certificate, NOW - DAY)
    with tempfile.TemporaryDirectory(prefix="town-fuzz-") as name:
        folder = Path(name)
        authority.write_anchors(folder)
        authority.publish_crls(folder, NOW - DAY)
        anchors = load_anchors({Realm.TEST: folder}, "development")
        lists = CrlFolder(folder, anchors, FixedClock(NOW), interval=float("inf"))
        lists.refresh()
    profile, links = load_profile(), load_number_link_profile(None, "development")
    verifier, runner = JpkiVerifier(anchors, profile, lists), asyncio.Runner()
    issuer, login = authority.key("sign"), authority.key("auth")
    revocation_list = authority.crl(issuer, NOW - timedelta(hours=1))
    login_signature, message = card.sign_login(CHALLENGE), card.sign(CONTENT, NOW)

    def certificate(content: bytes) -> None:
        leaf = load_certificate(content)
        strong_key(leaf)
        check_shape(leaf, profile.critical())
        partition_of(leaf)
        read_attributes(leaf, profile)

    def signed_certificate(content: bytes) -> None:
        runner.run(verifier.verify_login(again(content, login.key), login_signature, CHALLENGE, NOW))

    def signed_message(content: bytes) -> None:
        spoilt = with_certificate(message, again(content, issuer.key))
        runner.run(verifier.verify_signature(spoilt, DIGESTS, NOW))

    refused: tuple[type[Exception], ...] = (Problem,)
    body = first_of(card.sign_der)
    return [
        ("DER/CMS", read_signed_message, refused, [message], shapes.der),
        ("certificate", certificate, refused, [card.sign_der], shapes.der),
        ("… signed, login", signed_certificate, refused, [first_of(card.auth_der)], shapes.der),
        ("… signed, in CMS", signed_message, refused, [body], shapes.der),
        ("CRL", lambda content: read_crl(content, anchors, NOW), (CrlRefused,), [revocation_list], shapes.der),
        (
            "CRL, signed",
            lambda content: read_crl(again(content, issuer.key), anchors, NOW),
            (CrlRefused,),
            [first_of(revocation_list)],
            shapes.der,
        ),
        (
            "CSV 番号紐付",
            lambda content: read_rows(content, links, anchors),
            refused,
            [number_link_file(authority, [card])],
            shapes.table,
        ),
    ]


def first_of(der: bytes) -> bytes:
    """What a certificate or list signs: the first element inside."""
    tree = shapes.nodes(der)
    assert tree is not None
    return shapes.encoded(tree[0].children[0], _Plain())


def again(body: bytes, key: object) -> bytes:
    """A certificate or list with this body, under a genuine signature (RSA, SHA-256)."""
    signature = raw_signature(key, body, "sha256")  # type: ignore[arg-type]
    algorithm = Node(0x30, bytes.fromhex("06092a864886f70d01010b0500"))
    inner = body + shapes.encoded(algorithm, _Plain()) + shapes.encoded(Node(0x03, b"\x00" + signature), _Plain())
    return shapes.encoded(Node(0x30, inner), _Plain())


def with_certificate(message: bytes, certificate: bytes) -> bytes:
    """A CMS signature with another certificate in it."""
    tree = shapes.nodes(message)
    assert tree is not None
    data = tree[0].children[1].children[0].children
    data[3] = Node(0xA0, certificate)
    return shapes.encoded(tree[0], _Plain())


class _Plain(random.Random):
    """Chance that never spoils a length."""

    def random(self) -> float:
        return 0.5

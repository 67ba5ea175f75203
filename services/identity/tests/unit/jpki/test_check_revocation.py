"""What configured revocation lists say, and what they cannot say."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from town_identity.jpki import (
    AnySource,
    CrlFolder,
    JpkiVerifier,
    Question,
    Revocation,
    Status,
    TrustAnchors,
    VerifiedSigner,
)
from town_identity.jpki.crl_file import CrlRefused, read_crl
from town_kit.clock import FixedClock
from town_kit.problems import JpkiRevoked, JpkiStatusUnavailable
from town_sandbox.jpki import DEMO_HOLDERS, JpkiTestAuthority, VirtualCard
from town_sandbox.jpki.authority import authority_name, digest_for
from town_sandbox.jpki.samples import CONTENT, DIGESTS, ISSUED, NOW

HOUR = timedelta(hours=1)
HANAKO = DEMO_HOLDERS["hanako"]


async def verdict(verifier: JpkiVerifier, card: VirtualCard) -> VerifiedSigner:
    return await verifier.verify_signature(card.sign(CONTENT, NOW), DIGESTS, NOW)


@pytest.mark.case("D-03")
@pytest.mark.parametrize("kind", ["rsa", "p384"])
async def test_a_revoked_certificate_is_refused(
    kind: str, verifier: JpkiVerifier, authority: JpkiTestAuthority, crl_folder: Path
) -> None:
    card = VirtualCard.issue(authority, HANAKO, now=ISSUED, key=kind)
    assert (await verdict(verifier, card)).revocation.status is Status.GOOD
    authority.revoke(card.sign_certificate, NOW - HOUR)
    authority.publish_crls(crl_folder, NOW - timedelta(minutes=1))
    with pytest.raises(JpkiRevoked):
        await verdict(verifier, card)


async def test_a_card_revoked_after_receipt_stays_good_with_a_mark(
    verifier: JpkiVerifier, authority: JpkiTestAuthority, crl_folder: Path, clock: FixedClock
) -> None:
    card = VirtualCard.issue(authority, HANAKO, now=ISSUED)
    authority.revoke(card.sign_certificate, NOW + HOUR, x509.ReasonFlags.affiliation_changed)
    clock.advance(2 * HOUR)
    authority.publish_crls(crl_folder, NOW + 2 * HOUR)
    found = (await verdict(verifier, card)).revocation
    assert (found.status, found.revoked_later, found.reason) == (Status.GOOD, True, "affiliationChanged")


@pytest.mark.case("D-04")
async def test_a_stale_list_leaves_an_application_unknown_and_a_login_refused(
    verifier: JpkiVerifier, hanako: VirtualCard, clock: FixedClock
) -> None:
    clock.advance(timedelta(days=8))
    later = clock.now()
    found = await verifier.verify_signature(hanako.sign(CONTENT, later), DIGESTS, later)
    assert found.revocation.status is Status.UNKNOWN
    with pytest.raises(JpkiStatusUnavailable):
        await verifier.verify_login(hanako.auth_der, hanako.sign_login(b"t"), b"t", later)


@pytest.mark.case("D-04")
async def test_a_fresh_list_settles_what_was_unknown(
    verifier: JpkiVerifier, hanako: VirtualCard, authority: JpkiTestAuthority, crl_folder: Path, clock: FixedClock
) -> None:
    clock.advance(timedelta(days=8))
    waiting = await verdict(verifier, hanako)
    assert waiting.revocation.status is Status.UNKNOWN
    authority.publish_crls(crl_folder, clock.now())
    assert verifier.check_status(waiting.question(), NOW).status is Status.GOOD


async def test_without_any_list_nothing_is_known(
    make_verifier: Callable[[Path], JpkiVerifier], tmp_path: Path, hanako: VirtualCard
) -> None:
    assert (await verdict(make_verifier(tmp_path / "absent"), hanako)).revocation.status is Status.UNKNOWN


async def test_a_list_of_another_partition_says_nothing(
    make_verifier: Callable[[Path], JpkiVerifier], tmp_path: Path, authority: JpkiTestAuthority, hanako: VirtualCard
) -> None:
    other = authority.crl(authority.key("sign"), NOW - HOUR, partition=authority_name("sign"))
    (tmp_path / "other.crl").write_bytes(other)
    assert (await verdict(make_verifier(tmp_path), hanako)).revocation.status is Status.UNKNOWN


def test_a_list_of_an_authority_of_the_same_name_is_refused(anchors: TrustAnchors) -> None:
    stranger = JpkiTestAuthority.create(generations=["2024"])
    with pytest.raises(CrlRefused, match="anchor"):
        read_crl(stranger.crl(stranger.key("sign"), NOW - HOUR), anchors, NOW)


def test_a_list_from_the_future_is_refused(anchors: TrustAnchors, authority: JpkiTestAuthority) -> None:
    with pytest.raises(CrlRefused, match="future"):
        read_crl(authority.crl(authority.key("sign"), NOW + HOUR), anchors, NOW)


async def test_an_older_list_never_replaces_a_newer_one(
    verifier: JpkiVerifier, authority: JpkiTestAuthority, crl_folder: Path
) -> None:
    card = VirtualCard.issue(authority, HANAKO, now=ISSUED)
    old = authority.crl(authority.key("sign"), NOW - HOUR, number=1)
    authority.revoke(card.sign_certificate, NOW - HOUR)
    authority.publish_crls(crl_folder, NOW - timedelta(minutes=2))
    with pytest.raises(JpkiRevoked):
        await verdict(verifier, card)
    (crl_folder / "sign-2024.crl").write_bytes(old)
    with pytest.raises(JpkiRevoked):
        await verdict(verifier, card)


def test_an_older_list_is_refused_by_a_number_that_somebody_else_saw_until_it_is_replaced(
    anchors: TrustAnchors, authority: JpkiTestAuthority, tmp_path: Path
) -> None:
    key, lists = authority.key("sign"), CrlFolder(tmp_path, anchors, FixedClock(NOW))
    (tmp_path / "a.crl").write_bytes(authority.crl(key, NOW - HOUR, number=7))
    name = read_crl((tmp_path / "a.crl").read_bytes(), anchors, NOW).key
    assert lists.read({name: 8}) == {}
    assert lists.refused == {"a.crl": "its number 7 is below 8, which was seen before"}
    (tmp_path / "a.crl").write_bytes(authority.crl(key, NOW - HOUR, number=8))
    assert (lists.read({name: 8}), lists.refused) == ({name: 8}, {})


def test_a_changed_byte_in_a_list_is_refused(anchors: TrustAnchors, authority: JpkiTestAuthority) -> None:
    crl = bytearray(authority.crl(authority.key("sign"), NOW - HOUR))
    crl[-20] ^= 1
    with pytest.raises(CrlRefused):
        read_crl(bytes(crl), anchors, NOW)


def test_a_signed_list_whose_entry_cannot_be_read_is_refused(
    anchors: TrustAnchors, authority: JpkiTestAuthority, tmp_path: Path
) -> None:
    broken = x509.UnrecognizedExtension(x509.CRLReason.oid, b"\x05\x00")
    entry = x509.RevokedCertificateBuilder().serial_number(7).revocation_date(NOW).add_extension(broken, False).build()
    key = authority.key("sign")
    whole = x509.load_der_x509_crl(authority.crl(key, NOW - HOUR))
    builder = x509.CertificateRevocationListBuilder(
        whole.issuer, whole.last_update_utc, whole.next_update_utc, list(whole.extensions), [entry]
    )
    spoilt = builder.sign(key.key, digest_for(key.key)).public_bytes(Encoding.DER)
    with pytest.raises(CrlRefused, match="read"):
        read_crl(spoilt, anchors, NOW)
    (tmp_path / "spoilt.crl").write_bytes(spoilt)
    lists = CrlFolder(tmp_path, anchors, FixedClock(NOW))
    assert (lists.read({}), lists.refused) == ({}, {"spoilt.crl": "it cannot be read"})


class Says:
    def __init__(self, status: Status) -> None:
        self.status = status

    def check(self, question: Question, at: object) -> Revocation:
        return Revocation(self.status)


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([Status.GOOD, Status.REVOKED, Status.UNKNOWN], Status.REVOKED),
        ([Status.UNKNOWN, Status.GOOD], Status.GOOD),
        ([Status.UNKNOWN], Status.UNKNOWN),
        ([], Status.UNKNOWN),
    ],
)
async def test_whoever_says_revoked_wins(
    answers: list[Status], expected: Status, verifier: JpkiVerifier, hanako: VirtualCard
) -> None:
    question = (await verdict(verifier, hanako)).question()
    assert AnySource([Says(answer) for answer in answers]).check(question, NOW).status is expected

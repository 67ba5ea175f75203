"""What a signature over an application must be before anyone believes it."""

import hashlib
import shutil
import subprocess
import threading
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from town_identity.jpki import (
    JpkiVerifier,
    Purpose,
    Question,
    Realm,
    Revocation,
    Sex,
    Status,
    TrustAnchors,
    load_profile,
)
from town_kit.problems import (
    JpkiExpired,
    JpkiUntrusted,
    JpkiWeakAlgorithm,
    JpkiWrongPurpose,
    Problem,
    SignatureInvalid,
)
from town_sandbox.jpki import DEMO_HOLDERS, JpkiTestAuthority, VirtualCard
from town_sandbox.jpki.authority import POLICIES
from town_sandbox.jpki.samples import CONTENT, DIGESTS, ISSUED, NOW
from town_sandbox.jpki.signing import without_signature

HANAKO = DEMO_HOLDERS["hanako"]


@pytest.mark.parametrize("kind", ["rsa", "p384"])
async def test_a_signature_by_a_good_card_names_its_holder(
    kind: str, verifier: JpkiVerifier, hanako: VirtualCard, hanako_p384: VirtualCard
) -> None:
    card = hanako if kind == "rsa" else hanako_p384
    signer = await verifier.verify_signature(card.sign(CONTENT, NOW), DIGESTS, NOW)
    assert (signer.purpose, signer.realm, signer.revocation.status) == (Purpose.SIGN, Realm.TEST, Status.GOOD)
    assert signer.serial == card.sign_certificate.serial_number
    assert signer.attributes is not None
    assert (signer.attributes.name, signer.attributes.sex) == ("能登　花子", Sex.FEMALE)
    assert str(signer.attributes.birth) == "1987-05-14"
    assert not signer.attributes.has_substitutes


class Watched:
    """A source of revocation that remembers the thread in which it was asked."""

    def __init__(self) -> None:
        self.thread: threading.Thread | None = None

    def check(self, question: Question, at: datetime) -> Revocation:
        self.thread = threading.current_thread()
        return Revocation(Status.GOOD)


@pytest.mark.parametrize(("kind", "beside"), [("rsa", False), ("p384", True)])
async def test_a_slow_kind_of_key_is_judged_beside_the_event_loop(
    kind: str, beside: bool, anchors: TrustAnchors, hanako: VirtualCard, hanako_p384: VirtualCard
) -> None:
    card, source = hanako if kind == "rsa" else hanako_p384, Watched()
    verifier = JpkiVerifier(anchors, load_profile(), source)
    await verifier.verify_signature(card.sign(CONTENT, NOW), DIGESTS, NOW)
    assert (source.thread is not threading.current_thread()) is beside


async def test_generations_of_one_name_are_told_apart_by_their_key(
    verifier: JpkiVerifier, authority: JpkiTestAuthority
) -> None:
    names = {key.certificate.subject for key in authority.keys if key.purpose == "sign"}
    assert len(names) == 1
    for generation in ("2016", "2024", "2026"):
        card = VirtualCard.issue(authority, HANAKO, now=ISSUED, generation=generation)
        signer = await verifier.verify_signature(card.sign(CONTENT, NOW), DIGESTS, NOW)
        assert signer.generation == generation
        assert signer.issuer == authority.key("sign", generation).fingerprint


@pytest.mark.case("D-01")
@pytest.mark.parametrize("kind", ["rsa", "p384"])
async def test_an_authority_of_the_same_name_but_another_key_is_refused(kind: str, verifier: JpkiVerifier) -> None:
    forged = VirtualCard.issue(JpkiTestAuthority.create(), HANAKO, now=ISSUED, key=kind)
    with pytest.raises(JpkiUntrusted):
        await verifier.verify_signature(forged.sign(CONTENT, NOW), DIGESTS, NOW)


async def test_an_authority_of_the_real_name_but_another_key_is_refused(verifier: JpkiVerifier) -> None:
    forged = VirtualCard.issue(JpkiTestAuthority.create("JPKI"), HANAKO, now=ISSUED)
    with pytest.raises(JpkiUntrusted):
        await verifier.verify_signature(forged.sign(CONTENT, NOW), DIGESTS, NOW)


@pytest.mark.case("D-02")
async def test_a_certificate_that_ran_out_a_day_before_receipt_is_refused(
    verifier: JpkiVerifier, authority: JpkiTestAuthority
) -> None:
    card = VirtualCard.issue(authority, HANAKO, now=ISSUED, lifetime=NOW - ISSUED - timedelta(days=1))
    with pytest.raises(JpkiExpired):
        await verifier.verify_signature(card.sign(CONTENT, NOW), DIGESTS, NOW)


async def test_validity_is_judged_to_the_second(verifier: JpkiVerifier, hanako: VirtualCard) -> None:
    cms, last = hanako.sign(CONTENT, NOW), hanako.sign_certificate.not_valid_after_utc
    await verifier.verify_signature(cms, DIGESTS, ISSUED)
    await verifier.verify_signature(cms, DIGESTS, last + timedelta(milliseconds=900))
    for moment in (ISSUED - timedelta(seconds=1), last + timedelta(seconds=1)):
        with pytest.raises(JpkiExpired):
            await verifier.verify_signature(cms, DIGESTS, moment)


async def test_a_certificate_that_outlives_its_authority_is_refused_after_that(
    verifier: JpkiVerifier, authority: JpkiTestAuthority
) -> None:
    card = VirtualCard.issue(authority, HANAKO, now=ISSUED, generation="2016")
    end = authority.key("sign", "2016").certificate.not_valid_after_utc
    assert card.sign_certificate.not_valid_after_utc > end
    with pytest.raises(JpkiExpired):
        await verifier.verify_signature(card.sign(CONTENT, NOW), DIGESTS, end + timedelta(days=1))


@pytest.mark.case("D-05")
async def test_the_login_certificate_cannot_sign_an_application(verifier: JpkiVerifier, hanako: VirtualCard) -> None:
    with pytest.raises(JpkiWrongPurpose):
        await verifier.verify_signature(hanako.sign_with_auth(CONTENT, NOW), DIGESTS, NOW)


@pytest.mark.parametrize(
    "spoiled",
    [
        {"sign_policy": POLICIES["auth"]},
        {"sign_policy": "1.2.392.200149.8.5.1.1.20"},  # the production policy under a test anchor
        {"sign_policy": "1.2.392.200149.8.5.1.1.10"},  # 住民基本台帳カード, long dead
        {"non_repudiation": False},
    ],
)
async def test_a_signing_certificate_needs_its_policy_and_key_usage(
    spoiled: dict[str, object], verifier: JpkiVerifier, authority: JpkiTestAuthority
) -> None:
    card = VirtualCard.issue(authority, HANAKO, now=ISSUED, **spoiled)
    with pytest.raises(JpkiWrongPurpose):
        await verifier.verify_signature(card.sign(CONTENT, NOW), DIGESTS, NOW)


@pytest.mark.case("D-06")
async def test_a_short_rsa_key_is_refused(verifier: JpkiVerifier, authority: JpkiTestAuthority) -> None:
    card = VirtualCard.issue(authority, HANAKO, now=ISSUED, key="rsa1024")
    with pytest.raises(JpkiWeakAlgorithm):
        await verifier.verify_signature(card.sign(CONTENT, NOW), DIGESTS, NOW)


@pytest.mark.case("D-06")
@pytest.mark.parametrize("where", ["certificate", "message"])
async def test_sha1_is_refused_in_the_certificate_and_in_the_message(
    where: str, verifier: JpkiVerifier, authority: JpkiTestAuthority, hanako: VirtualCard
) -> None:
    if where == "certificate":
        cms = VirtualCard.issue(authority, HANAKO, now=ISSUED, sha1=True).sign(CONTENT, NOW)
    else:
        cms = hanako.sign(CONTENT, NOW, digest="sha1")
    with pytest.raises(JpkiWeakAlgorithm):
        await verifier.verify_signature(cms, {**DIGESTS, "sha1": hashlib.sha1(CONTENT).digest()}, NOW)


@pytest.mark.case("D-07")
async def test_a_message_without_a_signature_is_refused(verifier: JpkiVerifier, hanako: VirtualCard) -> None:
    for stripped in (b"", without_signature(hanako.sign(CONTENT, NOW)), hanako.sign_der):
        with pytest.raises(SignatureInvalid):
            await verifier.verify_signature(stripped, DIGESTS, NOW)


async def test_content_changed_after_signing_is_refused(verifier: JpkiVerifier, hanako: VirtualCard) -> None:
    changed = {name: hashlib.new(name, CONTENT + b" ").digest() for name in DIGESTS}
    with pytest.raises(SignatureInvalid):
        await verifier.verify_signature(hanako.sign(CONTENT, NOW), changed, NOW)


async def test_another_persons_key_under_a_certificate_is_refused(
    verifier: JpkiVerifier, authority: JpkiTestAuthority, hanako: VirtualCard
) -> None:
    taro = VirtualCard.issue(authority, DEMO_HOLDERS["taro"], now=ISSUED)
    mixed = VirtualCard(taro.holder, hanako.sign_certificate, taro.sign_key, taro.auth_certificate, taro.auth_key)
    with pytest.raises(SignatureInvalid):
        await verifier.verify_signature(mixed.sign(CONTENT, NOW), DIGESTS, NOW)


@pytest.mark.parametrize(
    "extra",
    [
        (x509.BasicConstraints(ca=True, path_length=None), False),
        (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), True),
        (x509.ExtendedKeyUsage([x509.ObjectIdentifier("1.3.6.1.5.5.7.3.4")]), True),
    ],
)
async def test_an_authority_bit_or_a_strange_critical_extension_refuses_a_leaf(
    extra: tuple[x509.ExtensionType, bool], verifier: JpkiVerifier, authority: JpkiTestAuthority
) -> None:
    card = VirtualCard.issue(authority, HANAKO, now=ISSUED, sign_extra=[extra])
    with pytest.raises(JpkiUntrusted):
        await verifier.verify_signature(card.sign(CONTENT, NOW), DIGESTS, NOW)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.integers(0, 10_000), value=st.integers(1, 255))
async def test_one_changed_byte_anywhere_is_refused_or_means_the_same(
    position: int, value: int, verifier: JpkiVerifier, hanako: VirtualCard
) -> None:
    cms = bytearray(hanako.sign(CONTENT, NOW))
    cms[position % len(cms)] ^= value
    try:
        signer = await verifier.verify_signature(bytes(cms), DIGESTS, NOW)
    except Problem:
        return
    assert signer.serial == hanako.sign_certificate.serial_number


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(noise=st.binary(max_size=400))
async def test_noise_is_refused_and_never_breaks_the_reader(noise: bytes, verifier: JpkiVerifier) -> None:
    for data in (noise, b"\x30\x82" + len(noise).to_bytes(2, "big") + noise):
        with pytest.raises(SignatureInvalid):
            await verifier.verify_signature(data, DIGESTS, NOW)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
@pytest.mark.parametrize("kind", ["rsa", "p384"])
async def test_a_signature_made_by_openssl_is_accepted(
    kind: str, tmp_path: Path, authority: JpkiTestAuthority, verifier: JpkiVerifier
) -> None:
    card = VirtualCard.issue(authority, HANAKO, now=ISSUED, key=kind)
    card.save(tmp_path)
    (tmp_path / "content").write_bytes(CONTENT)
    digest = "sha384" if kind == "p384" else "sha256"
    signing: list[str | Path] = [
        "openssl", "cms", "-sign", "-binary", "-md", digest, "-in", tmp_path / "content",
        "-signer", tmp_path / "sign.pem", "-inkey", tmp_path / "sign.key.pem",
        "-outform", "DER", "-out", tmp_path / "content.cms",
    ]  # fmt: skip
    subprocess.run(signing, capture_output=True, check=True)
    signer = await verifier.verify_signature((tmp_path / "content.cms").read_bytes(), DIGESTS, NOW)
    assert signer.serial == card.sign_certificate.serial_number

"""Another implementation judges the same certificates and signatures: openssl, where it is installed."""

import shutil
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from town_identity.jpki import JpkiVerifier, Status
from town_kit.problems import Problem
from town_sandbox.jpki import DEMO_HOLDERS, JpkiTestAuthority, VirtualCard
from town_sandbox.jpki.authority import POLICIES
from town_sandbox.jpki.samples import CONTENT, DIGESTS, ISSUED, NOW

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
HANAKO = DEMO_HOLDERS["hanako"]


def openssl(*arguments: str | Path) -> bool:
    return subprocess.run(["openssl", *map(str, arguments)], capture_output=True, check=False).returncode == 0


def write_case(folder: Path, authority: JpkiTestAuthority, kind: str, card: VirtualCard, cms: bytes) -> None:
    # openssl finds lists by name alone, and the generations share one: it is given the right one only
    key = authority.key("sign", "2026" if kind == "p384" else "2024")
    crl = x509.load_der_x509_crl(authority.crl(key, NOW - timedelta(hours=1)))
    (folder / "ca.pem").write_bytes(key.certificate.public_bytes(Encoding.PEM))
    (folder / "crl.pem").write_bytes(crl.public_bytes(Encoding.PEM))
    (folder / "leaf.pem").write_bytes(card.sign_certificate.public_bytes(Encoding.PEM))
    (folder / "content").write_bytes(CONTENT)
    (folder / "content.cms").write_bytes(cms)


def openssl_accepts(folder: Path) -> bool:
    at = str(int(NOW.timestamp()))
    path = openssl(
        "verify", "-x509_strict", "-policy", POLICIES["sign"], "-policy_check", "-explicit_policy",
        "-crl_check", "-extended_crl", "-auth_level", "2", "-attime", at,
        "-CAfile", folder / "ca.pem", "-CRLfile", folder / "crl.pem", folder / "leaf.pem",
    )  # fmt: skip
    signature = openssl(
        "cms", "-verify", "-binary", "-inform", "DER", "-in", folder / "content.cms", "-content", folder / "content",
        "-CAfile", folder / "ca.pem", "-purpose", "any", "-attime", at, "-out", "/dev/null",
    )  # fmt: skip
    return path and signature


@pytest.mark.parametrize("kind", ["rsa", "p384"])
@pytest.mark.parametrize(
    "case",
    ["good", "expired", "not yet valid", "revoked", "foreign", "auth policy", "strange extension", "other content"],
)
def test_our_verdict_is_that_of_openssl(
    case: str, kind: str, tmp_path: Path, authority: JpkiTestAuthority, verifier: JpkiVerifier, crl_folder: Path
) -> None:
    issuing = JpkiTestAuthority.create() if case == "foreign" else authority
    spoil = {
        "expired": {"lifetime": timedelta(days=2)},
        "not yet valid": {"now": NOW + timedelta(days=1)},
        "auth policy": {"sign_policy": POLICIES["auth"]},
        "strange extension": {
            "sign_extra": [(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), True)]
        },
    }.get(case, {})
    card = VirtualCard.issue(issuing, HANAKO, **{"now": ISSUED, "key": kind, **spoil})
    if case == "revoked":
        authority.revoke(card.sign_certificate, NOW - timedelta(hours=2))
        authority.publish_crls(crl_folder, NOW - timedelta(hours=1))
    cms = card.sign(CONTENT if case != "other content" else b"other", NOW)
    write_case(tmp_path, authority, kind, card, cms)
    try:
        ours = verifier.verify_signature(cms, DIGESTS, NOW).revocation.status is Status.GOOD
    except Problem:
        ours = False
    assert ours is (case == "good")
    assert openssl_accepts(tmp_path) is ours


@pytest.mark.parametrize("kind", ["rsa", "p384"])
def test_a_signature_made_by_openssl_is_accepted(
    kind: str, tmp_path: Path, authority: JpkiTestAuthority, verifier: JpkiVerifier
) -> None:
    card = VirtualCard.issue(authority, HANAKO, now=ISSUED, key=kind)
    card.save(tmp_path)
    (tmp_path / "content").write_bytes(CONTENT)
    digest = "sha384" if kind == "p384" else "sha256"
    made = openssl(
        "cms", "-sign", "-binary", "-md", digest, "-in", tmp_path / "content", "-signer", tmp_path / "sign.pem",
        "-inkey", tmp_path / "sign.key.pem", "-outform", "DER", "-out", tmp_path / "content.cms",
    )  # fmt: skip
    assert made
    signer = verifier.verify_signature((tmp_path / "content.cms").read_bytes(), DIGESTS, NOW)
    assert signer.serial == card.sign_certificate.serial_number

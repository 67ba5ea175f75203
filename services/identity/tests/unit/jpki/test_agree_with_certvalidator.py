"""Another library judges generated certificates: our verdict is its own, or stricter for a reason that has a name."""

import asyncio
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from asn1crypto import crl as asn1_crl
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from pyhanko_certvalidator import CertificateValidator, ValidationContext
from pyhanko_certvalidator.errors import PathError, ValidationError

from town_identity.jpki import JpkiVerifier, Status
from town_kit.problems import Problem
from town_sandbox.jpki import DEMO_HOLDERS, JpkiTestAuthority
from town_sandbox.jpki.authority import POLICIES, AuthorityKey, KeyKind, issue_certificate, new_key
from town_sandbox.jpki.samples import CONTENT, DIGESTS, ISSUED, NOW
from town_sandbox.jpki.signing import detached_cms, resign_with_sha1

HANAKO = DEMO_HOLDERS["hanako"]
DAY = timedelta(days=1)
STRANGE = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")


@dataclass(frozen=True)
class Mutant:
    """One way to make a certificate; ``stricter`` names the rule by which we may refuse what the other accepts."""

    name: str
    kind: KeyKind = "rsa"
    options: dict[str, Any] = field(default_factory=dict)
    purpose: Any = "sign"
    foreign: bool = False
    sha1: bool = False
    revoked: bool = False
    stricter: str = ""


TIMES = {
    "valid": {},
    "expired": {"not_after": NOW - DAY},
    "not yet valid": {"not_before": NOW + DAY, "not_after": NOW + 9 * DAY},
    "expires this second": {"not_after": NOW},
    "expired a second ago": {"not_after": NOW - timedelta(seconds=1)},
}
POLICY = {"right": None, "of auth": POLICIES["auth"], "of production": "1.2.392.200149.8.5.1.1.20", "other": "1.2.3"}
USAGE = {"right": None, "no non-repudiation": False}
EXTRA: dict[str, tuple[list[tuple[x509.ExtensionType, bool]], str]] = {
    "nothing": ([], ""),
    "strange critical": ([(STRANGE, True)], ""),
    "strange": ([(STRANGE, False)], ""),
    "cA": ([(x509.BasicConstraints(True, None), True)], "a leaf is never an authority"),
    "critical purpose": (
        [(x509.ExtendedKeyUsage([x509.ObjectIdentifier("1.3.6.1.5.5.7.3.4")]), True)],
        "a critical extension outside the profile",
    ),
}


def mutants() -> Iterator[Mutant]:
    for kind, when, policy, usage, extra in itertools.product(("rsa", "p384"), TIMES, POLICY, USAGE, EXTRA):
        options = {
            **TIMES[when],
            "policy": POLICY[policy],
            "non_repudiation": USAGE[usage],
            "extra": EXTRA[extra][0],
        }
        name = f"{kind}, {when}, policy {policy}, usage {usage}, {extra}"
        yield Mutant(name, kind, options, stricter=EXTRA[extra][1])
    yield Mutant("short key", "rsa1024", stricter="RSA below 2048 bits")
    for kind in ("rsa", "p384"):
        yield Mutant(f"{kind}, foreign", kind, foreign=True)
        yield Mutant(f"{kind}, sha1", kind, sha1=True, stricter="SHA-1")
        yield Mutant(f"{kind}, revoked", kind, revoked=True)
        yield Mutant(f"{kind}, login certificate", kind, purpose="auth")


@pytest.fixture(scope="module")
def keys() -> dict[str, Any]:
    return {kind: new_key(kind) for kind in ("rsa", "p384", "rsa1024")}


def make(mutant: Mutant, authority: JpkiTestAuthority, key: Any) -> tuple[x509.Certificate, AuthorityKey]:
    issuer = authority.key(mutant.purpose, "2026" if mutant.kind == "p384" else "2024")
    options = {"not_before": ISSUED, "not_after": ISSUED + 900 * DAY, **mutant.options}
    attributes = HANAKO.attributes() if mutant.purpose == "sign" else ()
    certificate = issue_certificate(issuer, key, attributes=attributes, **options)
    return (resign_with_sha1(certificate, issuer.key) if mutant.sha1 else certificate), issuer


async def certvalidator_accepts(certificate: x509.Certificate, issuer: AuthorityKey, crls: list[bytes]) -> bool:
    context = ValidationContext(
        trust_roots=[asn1_x509.Certificate.load(issuer.certificate.public_bytes(Encoding.DER))],
        moment=NOW,
        crls=[asn1_crl.CertificateList.load(crl) for crl in crls],
        revocation_mode="hard-fail",
        time_tolerance=timedelta(0),
        allow_fetching=False,
        weak_hash_algos=set(),
    )
    loaded = asn1_x509.Certificate.load(certificate.public_bytes(Encoding.DER))
    try:
        path = await CertificateValidator(loaded, validation_context=context).async_validate_usage(
            {"digital_signature", "non_repudiation"}
        )
    except (PathError, ValidationError):
        return False
    policies = {policy.user_domain_policy_id for policy in path.qualified_policies() or ()}
    return POLICIES["sign"] in policies


def test_generated_certificates_get_the_verdict_of_certvalidator_or_a_stricter_one(
    authority: JpkiTestAuthority, make_verifier: Any, keys: dict[str, Any], tmp_path: Any
) -> None:
    stranger = JpkiTestAuthority.create(generations=["2024", "2026"])
    cases = [
        (mutant, *make(mutant, stranger if mutant.foreign else authority, keys[mutant.kind])) for mutant in mutants()
    ]
    for mutant, certificate, _ in cases:
        if mutant.revoked:
            authority.revoke(certificate, NOW - DAY)
    authority.publish_crls(tmp_path / "crl", NOW - timedelta(hours=1))
    verifier: JpkiVerifier = make_verifier(tmp_path / "crl")
    crls = {key.fingerprint: authority.crl(key, NOW - timedelta(hours=1)) for key in authority.keys}

    different: dict[str, tuple[bool, bool]] = {}
    stricter: set[str] = set()
    accepted = 0
    for mutant, certificate, _ in cases:
        issuer = authority.key(mutant.purpose, "2026" if mutant.kind == "p384" else "2024")
        theirs = asyncio.run(certvalidator_accepts(certificate, issuer, [crls[issuer.fingerprint]]))
        cms = detached_cms(CONTENT, certificate, keys[mutant.kind], NOW)
        try:
            ours = verifier.verify_signature(cms, DIGESTS, NOW).revocation.status is Status.GOOD
        except Problem:
            ours = False
        accepted += ours
        if theirs and not ours and mutant.stricter:
            stricter.add(mutant.stricter)
        elif theirs is not ours:
            different[mutant.name] = (theirs, ours)
    assert different == {}
    assert len(cases) >= 400
    assert accepted >= 8
    assert stricter == {
        "RSA below 2048 bits",
        "SHA-1",
        "a leaf is never an authority",
        "a critical extension outside the profile",
    }

"""Three judges of generated certificates: ours, openssl and certvalidator.

Every mutant says whether it is good (ground truth), and our verdict is that. Where another judge says otherwise, the
mutant stands in ``different_on_certificates.yaml`` with the reason; one that is missing there fails, and one that
stands there without need.
"""

import asyncio
import itertools
import secrets
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from asn1crypto import crl as asn1_crl
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from pyhanko_certvalidator import CertificateValidator, ValidationContext
from pyhanko_certvalidator.errors import PathError, ValidationError

from town_identity.jpki import JpkiVerifier, Status
from town_kit.problems import Problem
from town_sandbox.jpki import DEMO_HOLDERS, JpkiTestAuthority
from town_sandbox.jpki.authority import (
    POLICIES,
    AuthorityKey,
    PrivateKey,
    authority_name,
    digest_for,
    new_key,
    partition_name,
)
from town_sandbox.jpki.samples import CONTENT, DIGESTS, ISSUED, NOW
from town_sandbox.jpki.signing import detached_cms, raw_signature, resign_with_sha1

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
DIFFERENT = Path(__file__).with_name("different_on_certificates.yaml")
HANAKO = DEMO_HOLDERS["hanako"]
DAY, SECOND = timedelta(days=1), timedelta(seconds=1)
GENERATION = {"rsa": "2024", "p384": "2026"}
OTHER = {"rsa": "p384", "p384": "rsa"}
LONGEST_NAME = 50
Extensions = Sequence[tuple[x509.ExtensionType, bool]]


def oid(dotted: str) -> x509.ObjectIdentifier:
    return x509.ObjectIdentifier(dotted)


def usage(**changes: bool) -> x509.KeyUsage:
    names = "digital_signature content_commitment key_encipherment data_encipherment key_agreement key_cert_sign"
    values = dict.fromkeys([*names.split(), "crl_sign", "encipher_only", "decipher_only"], False)
    return x509.KeyUsage(**{**values, "digital_signature": True, "content_commitment": True, **changes})


def raw(dotted: str, der: bytes) -> x509.UnrecognizedExtension:
    return x509.UnrecognizedExtension(oid(dotted), der)


def point(name: x509.GeneralName) -> x509.CRLDistributionPoints:
    return x509.CRLDistributionPoints([x509.DistributionPoint([name], None, None, None)])


@dataclass(frozen=True)
class Mutant:
    """One way to make a certificate, and whether a card of the town's people may have it."""

    name: str
    good: bool
    make: dict[str, Any] = field(default_factory=dict)
    issuer: str = "sign"
    key: str = ""
    change: Callable[[asn1_x509.TbsCertificate], None] | None = None
    revoked: timedelta | None = None


TIMES: dict[str, tuple[bool, dict[str, Any]]] = {
    "valid": (True, {}),
    "expired": (False, {"ends": NOW - DAY}),
    "not yet valid": (False, {"begins": NOW + DAY}),
    "expires this second": (True, {"ends": NOW}),
    "expired a second ago": (False, {"ends": NOW - SECOND}),
}
POLICY = {"right": [POLICIES["sign"]], "of auth": [POLICIES["auth"]], "of production": ["1.2.392.200149.8.5.1.1.20"]}
POLICY["other"] = ["1.2.3"]
USAGE = {"right": usage(), "no non-repudiation": usage(content_commitment=False)}
STRANGE = raw("1.2.3.4", b"\x05\x00")
EMAIL = x509.ExtendedKeyUsage([oid("1.3.6.1.5.5.7.3.4")])
EXTRA: dict[str, tuple[bool, Extensions]] = {
    "nothing": (True, []),
    "strange critical": (False, [(STRANGE, True)]),
    "strange": (True, [(STRANGE, False)]),
    "cA": (False, [(x509.BasicConstraints(True, None), True)]),
    "critical purpose": (False, [(EMAIL, True)]),
}


def grid() -> Iterator[Mutant]:
    for when, policy, use, extra in itertools.product(TIMES, POLICY, USAGE, EXTRA):
        good = TIMES[when][0] and policy == "right" and use == "right" and EXTRA[extra][0]
        make = {**TIMES[when][1], "policies": POLICY[policy], "usage": USAGE[use], "extra": EXTRA[extra][1]}
        yield Mutant(f"{when}, policy {policy}, usage {use}, {extra}", good, make)


def without(*missing: int) -> list[tuple[str, str]]:
    return [entry for index, entry in enumerate(HANAKO.attributes()) if index not in missing]


def negative(body: asn1_x509.TbsCertificate) -> None:
    body["serial_number"] = -5


def zero(body: asn1_x509.TbsCertificate) -> None:
    body["serial_number"] = 0


def first_version(body: asn1_x509.TbsCertificate) -> None:
    body["version"] = "v1"


def doubled(body: asn1_x509.TbsCertificate) -> None:
    body["extensions"].append(body["extensions"][0])


SINGLE = (
    Mutant("AKI missing", False, {"aki": "missing"}),
    Mutant("AKI of another key", False, {"aki": "key"}),
    Mutant("AKI by key, issuer and serial", True, {"aki": "full"}),
    Mutant("AKI by issuer and serial alone", False, {"aki": "serial alone"}),
    Mutant("AKI with another serial", False, {"aki": "other serial"}),
    Mutant("AKI with another issuer", False, {"aki": "other issuer"}),
    Mutant("keyUsage missing", False, {"usage": None}),
    Mutant("keyUsage not critical", True, {"usage_critical": False}),
    Mutant("keyUsage without digitalSignature", False, {"usage": usage(digital_signature=False)}),
    Mutant("keyUsage with keyCertSign", False, {"usage": usage(key_cert_sign=True)}),
    Mutant("keyUsage with cRLSign", False, {"usage": usage(crl_sign=True)}),
    Mutant("policy missing", False, {"policies": []}),
    Mutant("policy any", False, {"policies": ["2.5.29.32.0"]}),
    Mutant("policy and another", True, {"policies": [POLICIES["sign"], "1.2.3"]}),
    Mutant("policy not critical", True, {"policies_critical": False}),
    Mutant("policy of production and test", True, {"policies": [POLICIES["sign"], "1.2.392.200149.8.5.1.1.20"]}),
    Mutant("subject empty", False, {"subject": False}),
    Mutant("subject empty, names critical", True, {"subject": False, "names_critical": True}),
    Mutant("names critical", True, {"names_critical": True}),
    Mutant("names missing", False, {"names": []}),
    Mutant("no 氏名", False, {"names": without(0)}),
    Mutant("no 生年月日", False, {"names": without(3)}),
    Mutant("生年月日 twice", False, {"names": [*without(), ("1.2.392.200149.8.5.5.4", "319500101")]}),
    Mutant("another name beside", True, {"names": [*without(), ("1.2.3.4", "x")]}),
    Mutant("nameConstraints", False, {"extra": [(x509.NameConstraints([x509.DNSName("a")], None), False)]}),
    Mutant("nameConstraints critical", False, {"extra": [(x509.NameConstraints([x509.DNSName("a")], None), True)]}),
    Mutant("policyConstraints", False, {"extra": [(x509.PolicyConstraints(0, None), False)]}),
    Mutant("policyConstraints critical", False, {"extra": [(x509.PolicyConstraints(0, None), True)]}),
    Mutant("policyConstraints malformed", False, {"extra": [(raw("2.5.29.36", b"\x30\x00"), False)]}),
    Mutant("inhibitAnyPolicy critical", False, {"extra": [(x509.InhibitAnyPolicy(0), True)]}),
    Mutant("policyMappings malformed", False, {"extra": [(raw("2.5.29.33", b"\x30\x00"), False)]}),
    Mutant("policyMappings", False, {"extra": [(raw("2.5.29.33", bytes.fromhex("300a300806022a0306022a04")), False)]}),
    Mutant("cA in an uncritical extension", False, {"extra": [(x509.BasicConstraints(True, None), False)]}),
    Mutant("cA false", True, {"extra": [(x509.BasicConstraints(False, None), True)]}),
    Mutant("purpose mail", True, {"extra": [(EMAIL, False)]}),
    Mutant("OCSP no check", True, {"extra": [(x509.OCSPNoCheck(), False)]}),
    Mutant("subject key", True, {"extra": [(x509.SubjectKeyIdentifier(b"k" * 20), False)]}),
    Mutant("subject key malformed", False, {"extra": [(raw("2.5.29.14", b"\x05\x00"), False)]}),
    Mutant("information access malformed", False, {"extra": [(raw("1.3.6.1.5.5.7.1.1", b"\x05\x00"), False)]}),
    Mutant("serial of 20 bytes", True, {"serial": (1 << 158) + 1}),
    Mutant("serial zero", False, change=zero),
    Mutant("serial negative", False, change=negative),
    Mutant("version 1", False, change=first_version),
    Mutant("an extension twice", False, change=doubled),
    Mutant("signed with SHA-512", False, {"hash": hashes.SHA512()}),
    Mutant("signed with the other digest", False, {"hash": "other"}),
    Mutant("signed with SHA-1", False, {"hash": "sha1"}),
    Mutant("signature bit", False, {"flip": True}),
    Mutant("signed by another key of the name", False, issuer="foreign"),
    Mutant("signed by itself", False, issuer="self"),
    Mutant("signed by another holder", False, issuer="holder"),
    Mutant("issuer of another name", False, {"issuer_name": authority_name("auth")}),
    Mutant("login certificate", False, {"policies": [POLICIES["auth"]], "names": []}, issuer="auth"),
    Mutant("right policy from the login authority", False, issuer="auth"),
    Mutant("ends before it begins", False, {"begins": NOW - DAY, "ends": NOW - DAY}),
    Mutant("key RSA 1024", False, key="rsa1024"),
    Mutant("key RSA 3072", True, key="rsa3072"),
    Mutant("key RSA with exponent 3", False, key="exponent3"),
    Mutant("key P-256", False, key="p256"),
    Mutant("key P-521", False, key="p521"),
    Mutant("key secp256k1", False, key="k256"),
    Mutant("key of the other kind", True, key="other"),
    Mutant("revoked", False, revoked=-DAY),
    Mutant("revoked this second", False, revoked=timedelta(0)),
    Mutant("revoked a minute after receipt", True, revoked=timedelta(minutes=1)),
    Mutant("no distribution point", False, {"point": None}),
    Mutant("point of another partition", False, {"point": x509.DirectoryName(authority_name("sign"))}),
    Mutant("point by URL", False, {"point": x509.UniformResourceIdentifier("http://127.0.0.1/a.crl")}),
)

OPENSSL, CERTVALIDATOR = "openssl", "certvalidator"


@pytest.fixture(scope="module")
def keys() -> dict[str, Any]:
    kinds: tuple[Any, ...] = ("rsa", "p384", "rsa1024")
    return {kind: new_key(kind) for kind in kinds} | {
        "rsa3072": rsa.generate_private_key(65537, 3072),
        "exponent3": rsa.generate_private_key(3, 2048),
        "p256": ec.generate_private_key(ec.SECP256R1()),
        "p521": ec.generate_private_key(ec.SECP521R1()),
        "k256": ec.generate_private_key(ec.SECP256K1()),
        "holder": ec.generate_private_key(ec.SECP384R1()),
    }


def certificate_of(mutant: Mutant, issuer: AuthorityKey, key: Any, signing: Any) -> tuple[x509.Certificate, bytes]:
    """The certificate, and a message that its key has signed.

    asn1crypto takes a length ending in 0x80 for none, and encodes anew what must stay as it is, or cannot.
    """
    for length in range(1, LONGEST_NAME):
        made = spoilt(mutant, issuer, key, signing, "X" * length)
        if made.public_bytes(Encoding.DER)[3] != 0x80:
            with suppress(ValueError):
                return made, detached_cms(CONTENT, made, key, NOW)
    raise AssertionError(f"{mutant.name} cannot be put into a message")


def spoilt(mutant: Mutant, issuer: AuthorityKey, key: Any, signing: PrivateKey, holder: str) -> x509.Certificate:
    made = mutant.make
    subject = [x509.NameAttribute(NameOID.COUNTRY_NAME, "JP"), x509.NameAttribute(NameOID.COMMON_NAME, holder)]
    builder = (
        x509.CertificateBuilder()
        .issuer_name(made.get("issuer_name", issuer.certificate.subject))
        .subject_name(x509.Name(subject if made.get("subject", True) else []))
        .public_key(key.public_key())
        .serial_number(made.get("serial", secrets.randbits(63) | 1))
        .not_valid_before(made.get("begins", ISSUED))
        .not_valid_after(made.get("ends", NOW + 900 * DAY))
    )
    for extension, critical in extensions_of(made, issuer):
        builder = builder.add_extension(extension, critical)
    chosen = made.get("hash") if isinstance(made.get("hash"), hashes.SHA512) else digest_for(signing)
    if made.get("hash") == "other":
        chosen = hashes.SHA256() if isinstance(chosen, hashes.SHA384) else hashes.SHA384()
    certificate = builder.sign(signing, chosen)
    if made.get("hash") == "sha1":
        return resign_with_sha1(certificate, signing)
    if mutant.change is not None:
        return resigned(certificate, signing, mutant.change)
    if made.get("flip"):
        der = bytearray(certificate.public_bytes(Encoding.DER))
        der[-1] ^= 1
        return x509.load_der_x509_certificate(bytes(der))
    return certificate


def extensions_of(made: dict[str, Any], issuer: AuthorityKey) -> Iterator[tuple[x509.ExtensionType, bool]]:
    if (found := made.get("usage", usage())) is not None:
        yield found, made.get("usage_critical", True)
    if policies := made.get("policies", [POLICIES["sign"]]):
        said = [x509.PolicyInformation(oid(policy), None) for policy in policies]
        yield x509.CertificatePolicies(said), made.get("policies_critical", True)
    if (place := made.get("point", x509.DirectoryName(partition_name(issuer.purpose)))) is not None:
        yield point(place), False
    if (aki := issuer_key(made.get("aki", "key and nothing else"), issuer.certificate)) is not None:
        yield aki, False
    if names := made.get("names", without()):
        others = [x509.OtherName(oid(dotted), asn1.encode_der(text)) for dotted, text in names]
        yield x509.SubjectAlternativeName(others), made.get("names_critical", False)
    yield from made.get("extra", ())


def issuer_key(kind: str, issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier | None:
    digest = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    names, serial = [x509.DirectoryName(issuer.issuer)], issuer.serial_number
    match kind:
        case "missing":
            return None
        case "key":
            return x509.AuthorityKeyIdentifier(b"x" * 20, None, None)
        case "full":
            return x509.AuthorityKeyIdentifier(digest, names, serial)
        case "serial alone":
            return x509.AuthorityKeyIdentifier(None, names, serial)
        case "other serial":
            return x509.AuthorityKeyIdentifier(digest, names, serial + 1)
        case "other issuer":
            return x509.AuthorityKeyIdentifier(digest, [x509.DirectoryName(partition_name("sign"))], serial)
        case _:
            return x509.AuthorityKeyIdentifier(digest, None, None)


def resigned(
    certificate: x509.Certificate, key: PrivateKey, change: Callable[[asn1_x509.TbsCertificate], None]
) -> x509.Certificate:
    """The certificate after a change that no builder makes, signed again."""
    parsed = asn1_x509.Certificate.load(certificate.public_bytes(Encoding.DER))
    change(parsed["tbs_certificate"])
    digest = "sha384" if isinstance(key, ec.EllipticCurvePrivateKey) else "sha256"
    parsed["signature_value"] = raw_signature(key, parsed["tbs_certificate"].dump(force=True), digest)
    return x509.load_der_x509_certificate(parsed.dump(force=True))


async def certvalidator_accepts(certificate: x509.Certificate, issuer: AuthorityKey, crl: bytes) -> bool:
    context = ValidationContext(
        trust_roots=[asn1_x509.Certificate.load(issuer.certificate.public_bytes(Encoding.DER))],
        moment=NOW,
        crls=[asn1_crl.CertificateList.load(crl)],
        revocation_mode="hard-fail",
        time_tolerance=timedelta(0),
        allow_fetching=False,
        weak_hash_algos=set(),
    )
    try:
        loaded = asn1_x509.Certificate.load(certificate.public_bytes(Encoding.DER))
        path = await CertificateValidator(loaded, validation_context=context).async_validate_usage(
            {"digital_signature", "non_repudiation"}
        )
    except (PathError, ValidationError, ValueError, AssertionError):  # the last two where a structure is malformed
        return False
    return POLICIES["sign"] in {policy.user_domain_policy_id for policy in path.qualified_policies() or ()}


def openssl_accepts(folder: Path, certificates: Sequence[x509.Certificate], issuer: AuthorityKey, crl: bytes) -> Any:
    """The verdict of ``openssl verify`` on each; it is given one authority, for it finds lists by name alone."""
    (folder / "ca.pem").write_bytes(issuer.certificate.public_bytes(Encoding.PEM))
    (folder / "crl.pem").write_bytes(x509.load_der_x509_crl(crl).public_bytes(Encoding.PEM))
    files = [folder / f"{number}.pem" for number in range(len(certificates))]
    for file, certificate in zip(files, certificates, strict=True):
        file.write_bytes(certificate.public_bytes(Encoding.PEM))
    told = subprocess.run(
        [
            "openssl", "verify", "-x509_strict", "-policy", POLICIES["sign"], "-policy_check", "-explicit_policy",
            "-crl_check", "-extended_crl", "-auth_level", "2", "-attime", str(int(NOW.timestamp())),
            "-CAfile", folder / "ca.pem", "-CRLfile", folder / "crl.pem", *files,
        ],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    good = set(told.stdout.splitlines())
    return [f"{file}: OK" in good for file in files]


async def our_verdict(verifier: JpkiVerifier, cms: bytes) -> bool:
    try:
        return (await verifier.verify_signature(cms, DIGESTS, NOW)).revocation.status is Status.GOOD
    except Problem as refusal:
        said = refusal.detail
    assert said, "a refusal says what to do next"
    return False


@pytest.mark.parametrize("kind", ["rsa", "p384"])
async def test_every_certificate_gets_its_true_verdict_and_every_other_opinion_has_a_reason(
    kind: str, authority: JpkiTestAuthority, make_verifier: Any, keys: dict[str, Any], tmp_path: Path
) -> None:
    stranger = JpkiTestAuthority.create(generations=[GENERATION[kind]])
    mutants = [*grid(), *SINGLE]
    assert len({mutant.name for mutant in mutants}) == len(mutants) >= 200
    signer = authority.key("sign", GENERATION[kind])
    cases = []
    for mutant in mutants:
        issuer = authority.key("auth", GENERATION[kind]) if mutant.issuer == "auth" else signer
        key = keys[OTHER[kind] if mutant.key == "other" else mutant.key or kind]
        signing = {"foreign": stranger.key("sign", GENERATION[kind]).key, "self": key, "holder": keys["holder"]}
        certificate, cms = certificate_of(mutant, issuer, key, signing.get(mutant.issuer, issuer.key))
        if mutant.revoked is not None:
            authority.revoke(certificate, NOW + mutant.revoked)
        cases.append((mutant, certificate, cms))
    authority.publish_crls(tmp_path / "crl", NOW - timedelta(hours=1))
    crl = authority.crl(signer, NOW - timedelta(hours=1))
    verifier: JpkiVerifier = make_verifier(tmp_path / "crl")

    asked = asyncio.to_thread(openssl_accepts, tmp_path, [certificate for _, certificate, _ in cases], signer, crl)
    openssl = asyncio.create_task(asked)
    ours = [await our_verdict(verifier, cms) for _, _, cms in cases]
    assert [m.name for (m, _, _), found in zip(cases, ours, strict=True) if found and not m.good] == []
    assert [m.name for (m, _, _), found in zip(cases, ours, strict=True) if m.good and not found] == []
    certvalidator = [await certvalidator_accepts(certificate, signer, crl) for _, certificate, _ in cases]
    different = {
        (mutant.name, judge)
        for judge, verdicts in ((OPENSSL, await openssl), (CERTVALIDATOR, certvalidator))
        for (mutant, _, _), verdict in zip(cases, verdicts, strict=True)
        if verdict is not mutant.good
    }
    listed = {
        (name, judge)
        for reason in yaml.safe_load(DIFFERENT.read_text(encoding="utf-8"))
        for judge, name in itertools.product(reason["judges"], reason["certificates"])
    }
    assert (different - listed, listed - different) == (set(), set())

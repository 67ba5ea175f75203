"""Two judges of generated CMS signatures: ours and openssl. (certvalidator judges certificates alone.)

Every mutant says whether it is good (ground truth), and our verdict is that. Where openssl says otherwise, the mutant
stands in ``DIFFERENT`` with the reason; one that is missing there, or stands there without need, fails.
"""

import asyncio
import hashlib
import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from asn1crypto import algos, cms, core
from asn1crypto import crl as asn1_crl
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding

from town_identity.jpki import JpkiVerifier, Status
from town_kit.problems import Problem
from town_sandbox.jpki import DEMO_HOLDERS, JpkiTestAuthority, VirtualCard
from town_sandbox.jpki.samples import CONTENT, DIGESTS, ISSUED, NOW

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
HANAKO = DEMO_HOLDERS["hanako"]
GENERATION = {"rsa": "2024", "p384": "2026"}
P384_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973
OWN, OTHER = {"rsa": "sha256", "p384": "sha384"}, {"rsa": "sha384", "p384": "sha256"}


@dataclass(frozen=True)
class Mutant:
    """One way to sign, and whether it is good. ``make`` spoils the parts, ``change`` the bytes; ``kind`` limits it."""

    name: str
    good: bool
    make: dict[str, Any] = field(default_factory=dict)
    change: Callable[[bytes], bytes] | None = None
    kind: str = ""


def attribute(name: str, *values: Any) -> cms.CMSAttribute:
    return cms.CMSAttribute({"type": name, "values": list(values)})


def trailing(message: bytes) -> bytes:
    return message + b"\x00"


def indefinite(message: bytes) -> bytes:
    return b"\x30\x80" + message[4:] + b"\x00\x00"


def long_length(message: bytes) -> bytes:
    return b"\x30\x83\x00" + message[2:]


def flipped(message: bytes) -> bytes:
    return message[:-1] + bytes((message[-1] ^ 1,))


def pem(message: bytes) -> bytes:
    return b"-----BEGIN CMS-----\n" + core.OctetString(message).dump() + b"\n-----END CMS-----\n"


def cut(message: bytes) -> bytes:
    return message[:-20]


def of(holder: str) -> dict[str, Any]:
    return {"certificates": (holder,), "sid": holder, "key": holder}


NEXT_YEAR = cms.Time({"utc_time": NOW + timedelta(days=365)})
STRANGE = {"type": "1.2.3.4", "values": [core.Null()]}
MUTANTS = (
    Mutant("as a card signs", True),
    Mutant("without signingTime", True, {"time": None}),
    Mutant("signingTime next year", True, {"time": NEXT_YEAR}),
    Mutant("signingTime as GeneralizedTime", True, {"time": cms.Time({"generalized_time": NOW})}),
    Mutant("signingTime twice", False, {"time_twice": True}),
    Mutant("a strange signed attribute", True, {"more": [STRANGE]}),
    Mutant("a strange unsigned attribute", True, {"unsigned": [STRANGE]}),
    Mutant("certificate of the authority beside", True, {"certificates": ("own", "authority")}),
    Mutant("certificate of another holder beside", True, {"certificates": ("taro", "own")}),
    Mutant("revocation list beside", True, {"lists": True}),
    Mutant("two strong digests listed", True, {"listed": ("sha256", "sha384")}),
    Mutant("digest with NULL", True, {"digest_null": True}),
    Mutant("rsaEncryption", True, {"algorithm": "rsassa_pkcs1v15"}, kind="rsa"),
    Mutant("the other root of ECDSA", True, {"signature": "negated"}, kind="p384"),
    Mutant("other content", False, {"content": CONTENT + b" "}),
    Mutant("empty content", False, {"content": b""}),
    Mutant("digest bit", False, {"digest_value": bytes((DIGESTS["sha256"][0] ^ 1,)) + DIGESTS["sha256"][1:]}),
    Mutant("digest cut", False, {"digest_value": DIGESTS["sha256"][:-1]}),
    Mutant("digest empty", False, {"digest_value": b""}),
    Mutant("digest SHA-1 of the right content", False, {"digest": "sha1"}),
    Mutant("digest MD5", False, {"digest": "md5"}),
    Mutant("digest SHA-512", False, {"digest": "sha512"}),
    Mutant("digest of the other kind", False, {"digest": "other"}),
    Mutant("digest and signature of the other kind", False, {"digest": "other", "hash": "other"}),
    Mutant("signature with the other digest", False, {"hash": "other"}),
    Mutant("signature with SHA-1", False, {"hash": "sha1"}),
    Mutant("signature said to be of the other digest", False, {"algorithm": "other digest"}),
    Mutant("RSA said to be ECDSA", False, {"algorithm": "sha384_ecdsa"}, kind="rsa"),
    Mutant("ECDSA said to be RSA", False, {"algorithm": "sha256_rsa"}, kind="p384"),
    Mutant("signature said to be SHA-1", False, {"algorithm": "sha1"}),
    Mutant("PSS", False, {"algorithm": "rsassa_pss", "signature": "pss"}, kind="rsa"),
    Mutant("ECDSA as two numbers", False, {"signature": "plain"}, kind="p384"),
    Mutant("MD5 listed instead", False, {"listed": ("md5",)}),
    Mutant("MD5 listed too", False, {"listed": ("md5", "own")}),
    Mutant("SHA-1 listed too", False, {"listed": ("own", "sha1")}),
    Mutant("no digest listed", False, {"listed": ()}),
    Mutant("another strong digest listed", False, {"listed": ("other",)}),
    Mutant("signature bit", False, change=flipped),
    Mutant("signature empty", False, {"signature": "empty"}),
    Mutant("signature by another holder's key", False, {"key": "taro"}),
    Mutant("signature over the content, without attributes", False, {"attributes": "none"}),
    Mutant("attributes that are empty", False, {"attributes": "empty"}),
    Mutant("without contentType", False, {"without": "content_type"}),
    Mutant("without messageDigest", False, {"without": "message_digest"}),
    Mutant("contentType twice", False, {"more": [{"type": "content_type", "values": ["data"]}]}),
    Mutant("messageDigest twice", False, {"twice": "message_digest"}),
    Mutant("messageDigest with two values", False, {"two_values": True}),
    Mutant("contentType is another", False, {"said_type": "signed_data"}),
    Mutant("content is of another type", False, {"type": "1.2.3.4"}),
    Mutant("content and attribute of another type", False, {"type": "1.2.3.4", "said_type": "1.2.3.4"}),
    Mutant("attributes out of order", False, {"order": "reversed"}),
    Mutant("content inside", False, {"inside": CONTENT}),
    Mutant("other content inside", False, {"inside": b"other"}),
    Mutant("no signer", False, {"signers": 0}),
    Mutant("two signers", False, {"signers": 2}),
    Mutant("no certificate", False, {"certificates": ()}),
    Mutant("certificate of another holder", False, {"certificates": ("taro",)}),
    Mutant("certificate twice", False, {"certificates": ("own", "own")}),
    Mutant("certificate for login", False, of("auth")),
    Mutant(
        "certificate of a foreign authority", False, {"certificates": ("foreign",), "sid": "foreign", "key": "foreign"}
    ),
    Mutant("certificate that ran out", False, {"certificates": ("old",), "sid": "old", "key": "old"}),
    Mutant("certificate that was revoked", False, {"certificates": ("revoked",), "sid": "revoked", "key": "revoked"}),
    Mutant("signer is another serial", False, {"serial": 1}),
    Mutant("signer is of another authority", False, {"sid": "auth"}),
    Mutant("signer by key", False, {"sid": "key"}),
    Mutant("bytes after the end", False, change=trailing),
    Mutant("length without end", False, change=indefinite),
    Mutant("length longer than needed", False, change=long_length),
    Mutant("cut short", False, change=cut),
    Mutant("not DER", False, change=pem),
)

# What openssl accepts and we refuse, by our reason; there is nothing the other way round.
DIFFERENT: dict[str, tuple[str, ...]] = {
    "a weak digest is refused wherever it is named; openssl only asks for the one that was used": (
        "MD5 listed too",
        "SHA-1 listed too",
    ),
    "the allow-list has one digest and one scheme for each kind of key": (
        "digest and signature of the other kind",
        "PSS",
    ),
    "what is said of the signature must be true; openssl goes by the digest's algorithm and the key": (
        "signature said to be SHA-1",
        "signature said to be of the other digest",
        "ECDSA said to be RSA",
    ),
    "DER is strict, so that one signature has one form": (
        "attributes out of order",
        "bytes after the end",
        "length longer than needed",
        "length without end",
    ),
    "a card signs detached, and the content is nowhere but with its owner": ("content inside", "other content inside"),
    "a card signs data": (
        "content is of another type",
        "contentType is another",
        "content and attribute of another type",
    ),
    "a card signs attributes: without them a signature over other bytes could be passed off": (
        "signature over the content, without attributes",
    ),
    "an application has one signer with one certificate": ("two signers", "certificate twice"),
}


def hash_of(name: str) -> hashes.HashAlgorithm:
    return {
        "sha1": hashes.SHA1(),
        "sha256": hashes.SHA256(),
        "sha384": hashes.SHA384(),
    }[name]


def signed(key: Any, message: bytes, digest: hashes.HashAlgorithm, form: str) -> bytes:
    if form == "empty":
        return b""
    if form == "pss":
        pss = padding.PSS(padding.MGF1(hashes.SHA256()), hashes.SHA256.digest_size)
        return bytes(key.sign(message, pss, hashes.SHA256()))
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        return bytes(key.sign(message, padding.PKCS1v15(), digest))
    r, s = decode_dss_signature(made := key.sign(message, ec.ECDSA(digest)))
    if form == "plain":
        return r.to_bytes(48, "big") + s.to_bytes(48, "big")
    return encode_dss_signature(r, P384_ORDER - s) if form == "negated" else made


class Cards:
    """The holders of one kind of key, by the name a mutant calls them."""

    def __init__(self, authority: JpkiTestAuthority, kind: str) -> None:
        def issue(authority: JpkiTestAuthority, **options: Any) -> VirtualCard:
            return VirtualCard.issue(authority, HANAKO, **{"now": ISSUED, "key": kind, **options})

        own, stranger = issue(authority), JpkiTestAuthority.create(generations=[GENERATION[kind]])
        ends = {"lifetime": NOW - ISSUED - timedelta(days=1)}
        cards = {
            "own": own,
            "taro": issue(authority),
            "old": issue(authority, **ends),
            "revoked": issue(authority),
            "foreign": issue(stranger),
        }
        self.certificates = {name: card.sign_certificate for name, card in cards.items()}
        self.keys: dict[str, Any] = {name: card.sign_key for name, card in cards.items()}
        self.certificates |= {
            "auth": own.auth_certificate,
            "authority": authority.key("sign", GENERATION[kind]).certificate,
        }
        self.keys["auth"] = own.auth_key
        authority.revoke(self.certificates["revoked"], NOW - timedelta(days=1))


def message_of(mutant: Mutant, kind: str, cards: Cards, crl: bytes) -> bytes:
    """The SignedData of a mutant, encoded."""
    made = mutant.make
    names = {"own": OWN[kind], "other": OTHER[kind]}
    digest = names.get(made.get("digest", "own"), made.get("digest"))
    hashed = names.get(made.get("hash", "own"), made.get("hash"))
    attributes = attributes_of(made, digest)
    content = made.get("content", CONTENT)
    key = cards.keys[made.get("key", "own")]
    to_sign = content if attributes is None else attributes.dump()
    scheme = "rsa" if kind == "rsa" else "ecdsa"
    algorithm = {
        "own": f"{OWN[kind]}_{scheme}",
        "other digest": f"{OTHER[kind]}_{scheme}",
        "sha1": f"sha1_{scheme}",
    }
    if "hash" in made and "algorithm" not in made:
        algorithm["own"] = f"{hashed}_{scheme}"
    chosen = made.get("algorithm", "own")
    signer: dict[str, Any] = {
        "version": "v3" if made.get("sid") == "key" else "v1",
        "sid": signer_of(made, cards),
        "digest_algorithm": digest_algorithm(digest, made),
        "signature_algorithm": {"algorithm": algorithm.get(chosen, chosen), **pss_parameters(chosen)},
        "signature": signed(key, to_sign, hash_of(hashed), made.get("signature", "")),
    }
    if attributes is not None:
        signer["signed_attrs"] = attributes
    if "unsigned" in made:
        signer["unsigned_attrs"] = made["unsigned"]
    data: dict[str, Any] = {
        "version": "v1",
        "digest_algorithms": [digest_algorithm(names.get(one, one), made) for one in made.get("listed", (digest,))],
        "encap_content_info": {"content_type": made.get("type", "data")},
        "signer_infos": [cms.SignerInfo(signer)] * made.get("signers", 1),
    }
    if "inside" in made:
        data["encap_content_info"]["content"] = made["inside"]
    if found := made.get("certificates", ("own",)):
        data["certificates"] = [cms.CertificateChoices("certificate", loaded(cards.certificates[one])) for one in found]
    if made.get("lists"):
        data["crls"] = [cms.RevocationInfoChoice("crl", asn1_crl.CertificateList.load(crl))]
    encoded = cms.ContentInfo({"content_type": "signed_data", "content": cms.SignedData(data)}).dump()
    return mutant.change(encoded) if mutant.change else bytes(encoded)


def loaded(certificate: x509.Certificate) -> asn1_x509.Certificate:
    return asn1_x509.Certificate.load(certificate.public_bytes(Encoding.DER))


def digest_algorithm(name: str, made: dict[str, Any]) -> algos.DigestAlgorithm:
    return algos.DigestAlgorithm(
        {"algorithm": name, **({"parameters": core.Null()} if made.get("digest_null") else {})}
    )


def pss_parameters(algorithm: str) -> dict[str, Any]:
    if algorithm != "rsassa_pss":
        return {}
    digest = {"algorithm": "sha256"}
    mask = {"algorithm": "mgf1", "parameters": digest}
    said = {"hash_algorithm": digest, "mask_gen_algorithm": mask, "salt_length": 32}
    return {"parameters": algos.RSASSAPSSParams(said)}


def attributes_of(made: dict[str, Any], digest: str) -> cms.CMSAttributes | None:
    if made.get("attributes") == "none":
        return None
    if made.get("attributes") == "empty":
        return cms.CMSAttributes([])
    value = made.get("digest_value", hashlib.new(digest, made.get("content", CONTENT)).digest())
    time = made.get("time", cms.Time({"utc_time": NOW}))
    found = [
        attribute("content_type", made.get("said_type", "data")),
        attribute("message_digest", *[value] * (2 if made.get("two_values") else 1)),
        *([attribute("signing_time", time)] if time is not None else []),
        *([attribute("signing_time", NEXT_YEAR)] if made.get("time_twice") else []),
        *(cms.CMSAttribute(more) for more in made.get("more", ())),
    ]
    found = [one for one in found if one["type"].native != made.get("without")]
    found += [one for one in found if one["type"].native == made.get("twice")]
    ordered = sorted(found, key=lambda one: one.dump(), reverse=made.get("order") == "reversed")
    if made.get("order") == "reversed":  # asn1crypto sorts a set; what it loads, it leaves as it is
        inner = b"".join(one.dump() for one in ordered)
        return cms.CMSAttributes.load(b"\x31" + (b"\x81" if len(inner) > 127 else b"") + bytes((len(inner),)) + inner)
    return cms.CMSAttributes(ordered)


def signer_of(made: dict[str, Any], cards: Cards) -> cms.SignerIdentifier:
    if made.get("sid") == "key":
        return cms.SignerIdentifier("subject_key_identifier", b"k" * 20)
    leaf = loaded(cards.certificates[made.get("sid", "own")])
    serial = made.get("serial", leaf.serial_number)
    both = cms.IssuerAndSerialNumber({"issuer": leaf.issuer, "serial_number": serial})
    return cms.SignerIdentifier("issuer_and_serial_number", both)


def openssl_accepts(folder: Path, message: bytes) -> bool:
    file = folder / hashlib.sha256(message).hexdigest()
    file.write_bytes(message)
    told = subprocess.run(
        [
            "openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", file, "-content", folder / "content",
            "-CAfile", folder / "trusted.pem", "-purpose", "any", "-attime", str(int(NOW.timestamp())),
            "-x509_strict", "-crl_check", "-extended_crl", "-auth_level", "2", "-out", "/dev/null",
        ],
        capture_output=True, check=False,
    )  # fmt: skip
    return told.returncode == 0


async def our_verdict(verifier: JpkiVerifier, message: bytes) -> bool:
    try:
        return (await verifier.verify_signature(message, DIGESTS, NOW)).revocation.status is Status.GOOD
    except Problem as refusal:
        said = refusal.detail
    assert said, "a refusal says what to do next"
    return False


@pytest.mark.parametrize("kind", ["rsa", "p384"])
async def test_every_signature_gets_its_true_verdict_and_every_other_opinion_has_a_reason(
    kind: str, authority: JpkiTestAuthority, make_verifier: Any, tmp_path: Path
) -> None:
    cards, signer = Cards(authority, kind), authority.key("sign", GENERATION[kind])
    authority.publish_crls(tmp_path / "crl", NOW - timedelta(hours=1))
    crl = authority.crl(signer, NOW - timedelta(hours=1))
    trusted = signer.certificate.public_bytes(Encoding.PEM) + x509.load_der_x509_crl(crl).public_bytes(Encoding.PEM)
    (tmp_path / "trusted.pem").write_bytes(trusted)
    (tmp_path / "content").write_bytes(CONTENT)
    mutants = [mutant for mutant in MUTANTS if mutant.kind in {"", kind}]
    messages = [message_of(mutant, kind, cards, crl) for mutant in mutants]
    verifier = make_verifier(tmp_path / "crl")

    with ThreadPoolExecutor(4) as pool:
        loop = asyncio.get_running_loop()
        asked = [loop.run_in_executor(pool, openssl_accepts, tmp_path, message) for message in messages]
        ours = [await our_verdict(verifier, message) for message in messages]
        openssl = await asyncio.gather(*asked)
    assert [mutant.name for mutant, found in zip(mutants, ours, strict=True) if found and not mutant.good] == []
    assert [mutant.name for mutant, found in zip(mutants, ours, strict=True) if mutant.good and not found] == []
    different = {m.name for m, found in zip(mutants, openssl, strict=True) if found is not m.good}
    listed = {name for names in DIFFERENT.values() for name in names} & {mutant.name for mutant in mutants}
    assert (different - listed, listed - different) == (set(), set())
    assert len(messages) >= 60

"""What a card and its reader software make: a detached CMS signature (RFC 5652) and the signature of a challenge.

Written with another ASN.1 library than the verifier reads with, so that one mistake cannot hide in both.
"""

import hashlib
from datetime import datetime

from asn1crypto import algos, cms, core
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, SHA384, HashAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding

from town_sandbox.jpki.authority import PrivateKey

_HASHES: dict[str, HashAlgorithm] = {
    "sha1": SHA1(),  # noqa: S303 - made to be refused  # nosec B303
    "sha256": SHA256(),
    "sha384": SHA384(),
}


def raw_signature(key: PrivateKey, message: bytes, digest: str) -> bytes:
    """RSASSA-PKCS1-v1_5 or ECDSA over a message."""
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(message, PKCS1v15(), _HASHES[digest])
    return key.sign(message, ec.ECDSA(_HASHES[digest]))


def default_digest(key: PrivateKey) -> str:
    """The digest that goes with a kind of key."""
    return "sha384" if isinstance(key, ec.EllipticCurvePrivateKey) else "sha256"


def detached_cms(
    content: bytes, certificate: x509.Certificate, key: PrivateKey, signing_time: datetime, digest: str | None = None
) -> bytes:
    """A detached SignedData (DER) over ``content``: one signer, contentType, messageDigest and signingTime."""
    chosen = digest or default_digest(key)
    attributes = cms.CMSAttributes(
        [
            cms.CMSAttribute({"type": "content_type", "values": ["data"]}),
            cms.CMSAttribute({"type": "signing_time", "values": [cms.Time({"utc_time": signing_time})]}),
            cms.CMSAttribute({"type": "message_digest", "values": [hashlib.new(chosen, content).digest()]}),
        ]
    )
    attributes = cms.CMSAttributes(sorted(attributes, key=lambda attribute: attribute.dump()))
    signature = raw_signature(key, attributes.dump(), chosen)
    algorithm = f"{chosen}_{'rsa' if isinstance(key, rsa.RSAPrivateKey) else 'ecdsa'}"
    leaf = asn1_x509.Certificate.load(certificate.public_bytes(Encoding.DER))
    signer = cms.SignerInfo(
        {
            "version": "v1",
            "sid": cms.SignerIdentifier(
                "issuer_and_serial_number",
                cms.IssuerAndSerialNumber({"issuer": leaf.issuer, "serial_number": leaf.serial_number}),
            ),
            "digest_algorithm": algos.DigestAlgorithm({"algorithm": chosen}),
            "signed_attrs": attributes,
            "signature_algorithm": algos.SignedDigestAlgorithm({"algorithm": algorithm}),
            "signature": signature,
        }
    )
    data = cms.SignedData(
        {
            "version": "v1",
            "digest_algorithms": [algos.DigestAlgorithm({"algorithm": chosen})],
            "encap_content_info": {"content_type": "data"},
            "certificates": [cms.CertificateChoices("certificate", leaf)],
            "signer_infos": [signer],
        }
    )
    encoded: bytes = cms.ContentInfo({"content_type": "signed_data", "content": data}).dump()
    return encoded


def without_signature(message: bytes) -> bytes:
    """The same SignedData with no signer left."""
    parsed = cms.ContentInfo.load(message)
    data = parsed["content"]
    stripped = {name: data[name] for name in ("version", "digest_algorithms", "encap_content_info", "certificates")}
    empty = cms.SignedData({**stripped, "signer_infos": cms.SignerInfos([])})
    encoded: bytes = cms.ContentInfo({"content_type": "signed_data", "content": empty}).dump()
    return encoded


def resign_with_sha1(certificate: x509.Certificate, authority_key: PrivateKey) -> x509.Certificate:
    """The same certificate under a SHA-1 signature, which no builder makes any more."""
    parsed = asn1_x509.Certificate.load(certificate.public_bytes(Encoding.DER))
    rsa_key = isinstance(authority_key, rsa.RSAPrivateKey)
    algorithm = algos.SignedDigestAlgorithm({"algorithm": "sha1_rsa" if rsa_key else "sha1_ecdsa"})
    if rsa_key:
        algorithm["parameters"] = core.Null()
    body = parsed["tbs_certificate"]
    body["signature"] = algorithm
    signature = raw_signature(authority_key, body.dump(force=True), "sha1")
    signed = asn1_x509.Certificate(
        {"tbs_certificate": body, "signature_algorithm": algorithm, "signature_value": signature}
    )
    return x509.load_der_x509_certificate(signed.dump())

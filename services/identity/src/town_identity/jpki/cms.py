"""A detached signature as a card makes it: CMS SignedData (RFC 5652) with one signer, read as strict DER.

The content itself is not here: the caller gives its digest, so the document never leaves the service that owns it.
Certificates inside a message are only a place to find the signer's own; they lend no trust, nor do lists or times.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256, SHA384

from town_identity.jpki.certificate import UNREADABLE, PublicKey
from town_kit.problems import JpkiWeakAlgorithm, SignatureInvalid

MAX_CMS_BYTES = 65_536

_SIGNED_DATA = x509.ObjectIdentifier("1.2.840.113549.1.7.2")
_DATA = x509.ObjectIdentifier("1.2.840.113549.1.7.1")
_CONTENT_TYPE = x509.ObjectIdentifier("1.2.840.113549.1.9.3")
_MESSAGE_DIGEST = x509.ObjectIdentifier("1.2.840.113549.1.9.4")
_SIGNING_TIME = x509.ObjectIdentifier("1.2.840.113549.1.9.5")
_SHA256 = x509.ObjectIdentifier("2.16.840.1.101.3.4.2.1")
_SHA384 = x509.ObjectIdentifier("2.16.840.1.101.3.4.2.2")
_DIGESTS = {_SHA256: "sha256", _SHA384: "sha384"}
_RSA = frozenset({x509.ObjectIdentifier("1.2.840.113549.1.1.1"), x509.ObjectIdentifier("1.2.840.113549.1.1.11")})
_ECDSA_SHA384 = x509.ObjectIdentifier("1.2.840.10045.4.3.3")
_WEAK = frozenset(
    x509.ObjectIdentifier(oid)
    for oid in (
        "1.3.14.3.2.26",  # SHA-1
        "1.2.840.113549.2.5",  # MD5
        "1.2.840.113549.1.1.5",  # RSA with SHA-1
        "1.2.840.113549.1.1.4",  # RSA with MD5
        "1.2.840.10045.4.1",  # ECDSA with SHA-1
    )
)

_NOT_THE_FORM = (
    "署名のデータが決められた形（内容を含まない CMS 署名、署名者は一人）になっていません。"
    "マイナンバーカードに対応したアプリで署名し直してください。"
)
_WEAK_SIGNATURE = (
    "受け付けられない方式（SHA-1 など）の署名です。RSA は SHA-256、P-384 は SHA-384 で署名する"
    "マイナンバーカード対応のアプリで、署名し直してください。"
)


@asn1.sequence
class _Algorithm:
    algorithm: x509.ObjectIdentifier
    parameters: asn1.Null | None


@asn1.sequence
class _Attribute:
    type: x509.ObjectIdentifier
    values: asn1.SetOf[asn1.TLV]


@asn1.sequence
class _EncapsulatedContent:
    content_type: x509.ObjectIdentifier
    content: Annotated[bytes | None, asn1.Explicit(0)]


@asn1.sequence
class _IssuerAndSerial:
    issuer: asn1.TLV
    serial: int


@asn1.sequence
class _Signer:
    version: int
    sid: _IssuerAndSerial
    digest: _Algorithm
    signed: Annotated[asn1.SetOf[_Attribute] | None, asn1.Implicit(0)]
    algorithm: _Algorithm
    signature: bytes
    unsigned: Annotated[asn1.SetOf[_Attribute] | None, asn1.Implicit(1)]


@asn1.sequence
class _SignedData:
    version: int
    digests: asn1.SetOf[_Algorithm]
    encapsulated: _EncapsulatedContent
    certificates: Annotated[asn1.SetOf[x509.Certificate] | None, asn1.Implicit(0)]
    crls: Annotated[asn1.SetOf[asn1.TLV] | None, asn1.Implicit(1)]
    signers: asn1.SetOf[_Signer]


@asn1.sequence
class _ContentInfo:
    content_type: x509.ObjectIdentifier
    content: Annotated[_SignedData, asn1.Explicit(0)]


@asn1.sequence
class _SignedAttributes:
    values: asn1.SetOf[_Attribute]


@dataclass(frozen=True, slots=True)
class SignedMessage:
    """What one signer signed: the certificate that was found, the digest claimed, and the bytes under the signature.

    ``digest_algorithm`` is ``sha256`` or ``sha384``. ``claimed_time`` is the signer's own word and proves nothing.
    """

    certificate: x509.Certificate
    digest_algorithm: str
    digest: bytes
    claimed_time: datetime | None
    signed_bytes: bytes
    signature: bytes
    signature_algorithm: x509.ObjectIdentifier

    def check_digest(self, digests: Mapping[str, bytes]) -> None:
        """The content is the one that was signed; raises :class:`SignatureInvalid`."""
        given = digests.get(self.digest_algorithm)
        if given is None or not hmac.compare_digest(given, self.digest):
            raise SignatureInvalid("署名されたときから内容が変わっています。署名をやり直してください。")

    def check_signature(self, key: PublicKey) -> None:
        """The key made this signature.

        Raises :class:`SignatureInvalid`, and :class:`JpkiWeakAlgorithm` where algorithm and digest are not those that
        are allowed beside this kind of key.
        """
        # `rsaEncryption` names no hash of its own: it is the digest's. So each key has one digest beside it.
        ecdsa = isinstance(key, EllipticCurvePublicKey)
        algorithms, digest = ({_ECDSA_SHA384}, "sha384") if ecdsa else (_RSA, "sha256")
        if self.signature_algorithm not in algorithms or self.digest_algorithm != digest:
            raise JpkiWeakAlgorithm(_WEAK_SIGNATURE)
        check_raw_signature(key, self.signature, self.signed_bytes)


def check_raw_signature(key: PublicKey, signature: bytes, message: bytes) -> None:
    """RSASSA-PKCS1-v1_5 with SHA-256, or ECDSA P-384 with SHA-384, over a message; raises :class:`SignatureInvalid`."""
    try:
        if isinstance(key, EllipticCurvePublicKey):
            key.verify(signature, message, ECDSA(SHA384()))
        else:
            key.verify(signature, message, PKCS1v15(), SHA256())
    except InvalidSignature:
        raise SignatureInvalid("電子署名が内容と合いません。署名をやり直してください。") from None


def read_signed_message(cms: bytes) -> SignedMessage:
    """Read a detached SignedData.

    Raises :class:`SignatureInvalid` for anything that is not exactly that, :class:`JpkiWeakAlgorithm` for SHA-1 or MD5
    wherever it is named.
    """
    if not cms or len(cms) > MAX_CMS_BYTES:
        raise SignatureInvalid("電子署名が付いていません。署名してから送信してください。")
    try:
        info = asn1.decode_der(_ContentInfo, cms)
        signers = info.content.signers.as_list()
        if info.content_type != _SIGNED_DATA or len(signers) != 1 or info.content.encapsulated.content is not None:
            raise SignatureInvalid(_NOT_THE_FORM)
        return _message(info.content, signers[0])
    except UNREADABLE:
        raise SignatureInvalid(_NOT_THE_FORM) from None


def _message(data: _SignedData, signer: _Signer) -> SignedMessage:
    used = {signer.digest.algorithm, signer.algorithm.algorithm}
    listed = {algorithm.algorithm for algorithm in data.digests.as_list()}
    if (used | listed) & _WEAK:
        raise JpkiWeakAlgorithm(_WEAK_SIGNATURE)
    if signer.digest.algorithm not in listed & _DIGESTS.keys() or signer.signed is None:
        raise SignatureInvalid(_NOT_THE_FORM)
    values = _single_values(signer.signed)
    if values[_CONTENT_TYPE].parse(x509.ObjectIdentifier) != _DATA or data.encapsulated.content_type != _DATA:
        raise SignatureInvalid(_NOT_THE_FORM)
    return SignedMessage(
        certificate=_certificate(data, signer.sid),
        digest_algorithm=_DIGESTS[signer.digest.algorithm],
        digest=values[_MESSAGE_DIGEST].parse(bytes),
        claimed_time=_time(values.get(_SIGNING_TIME)),
        signed_bytes=_content(asn1.encode_der(_SignedAttributes(values=signer.signed))),
        signature=signer.signature,
        signature_algorithm=signer.algorithm.algorithm,
    )


def _single_values(attributes: asn1.SetOf[_Attribute]) -> dict[x509.ObjectIdentifier, asn1.TLV]:
    values: dict[x509.ObjectIdentifier, asn1.TLV] = {}
    for attribute in attributes.as_list():
        found = attribute.values.as_list()
        if attribute.type in values or len(found) != 1:
            raise SignatureInvalid(_NOT_THE_FORM)
        values[attribute.type] = found[0]
    if _CONTENT_TYPE not in values or _MESSAGE_DIGEST not in values:
        raise SignatureInvalid(_NOT_THE_FORM)
    return values


def _certificate(data: _SignedData, sid: _IssuerAndSerial) -> x509.Certificate:
    issuer = bytes(sid.issuer.data)
    found = [
        certificate
        for certificate in (data.certificates.as_list() if data.certificates else ())
        if certificate.serial_number == sid.serial and _content(certificate.issuer.public_bytes()) == issuer
    ]
    if len(found) != 1:
        raise SignatureInvalid("署名した人の電子証明書が含まれていません。電子証明書を付けて送ってください。")
    return found[0]


def _time(value: asn1.TLV | None) -> datetime | None:
    if value is None:
        return None
    parsed = value.parse(asn1.UTCTime) if value.tag_bytes == b"\x17" else value.parse(asn1.GeneralizedTime)
    moment: datetime = parsed.as_datetime()
    return moment


def _content(der: bytes) -> bytes:
    """What stands inside the outermost tag and length."""
    return der[2 + (der[1] & 0x7F if der[1] & 0x80 else 0) :]

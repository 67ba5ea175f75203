"""Rules for one leaf certificate (電子証明書): our own, explicit, beside the path that the library builds.

The library has no policy processing and takes RSA-1024, P-521 and ``cA=TRUE`` in a leaf, so each rule stands here.
"""

from datetime import datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.x509.oid import ExtensionOID, SignatureAlgorithmOID

from town_identity.jpki.profile import JpkiProfile, Purpose, Realm
from town_kit.problems import JpkiExpired, JpkiUntrusted, JpkiWeakAlgorithm, JpkiWrongPurpose

MAX_CERTIFICATE_BYTES = 16_384
RSA_BITS = range(2048, 4097)
STRONG_SIGNATURES = frozenset({SignatureAlgorithmOID.RSA_WITH_SHA256, SignatureAlgorithmOID.ECDSA_WITH_SHA384})

# RFC 5280 §4.2.1.5, .10, .11, .14: what only an authority says of the certificates below it
OF_AUTHORITIES = frozenset(
    {
        ExtensionOID.POLICY_MAPPINGS,
        ExtensionOID.NAME_CONSTRAINTS,
        ExtensionOID.POLICY_CONSTRAINTS,
        ExtensionOID.INHIBIT_ANY_POLICY,
    }
)

# what the library raises for bytes that are not a certificate it can read
UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)

PublicKey = RSAPublicKey | EllipticCurvePublicKey

NOT_OF_JPKI = "公的個人認証サービスの電子証明書ではありません。マイナンバーカードの電子証明書で手続きしてください。"
WRONG_PURPOSE = {
    Purpose.SIGN: "署名用電子証明書（6〜16桁の英数字の暗証番号）で署名してください。",
    Purpose.AUTH: "利用者証明用電子証明書（4桁の暗証番号）でログインしてください。",
}
WEAK = (
    "RSA 2048〜4096 ビットと SHA-256、または P-384 と SHA-384 の電子証明書だけを受け付けます。"
    "市区町村の窓口で新しい電子証明書の発行を受けてください。"
)
EXPIRED = "電子証明書の有効期間外です。市区町村の窓口で電子証明書を更新してください。"


def load_certificate(der: bytes) -> x509.Certificate:
    """A certificate from strict DER of at most 16 kB; raises :class:`JpkiUntrusted`."""
    if len(der) > MAX_CERTIFICATE_BYTES:
        raise JpkiUntrusted(NOT_OF_JPKI)
    try:
        return x509.load_der_x509_certificate(der)
    except UNREADABLE:
        raise JpkiUntrusted(NOT_OF_JPKI) from None


def strong_key(certificate: x509.Certificate) -> PublicKey:
    """The public key, if key and signature algorithm stand in the allow-list.

    RSA of 2048 to 4096 bits with SHA-256, or P-384 with SHA-384; raises :class:`JpkiWeakAlgorithm`.
    """
    if certificate.signature_algorithm_oid not in STRONG_SIGNATURES:
        raise JpkiWeakAlgorithm(WEAK)
    try:
        key = certificate.public_key()
    except UNREADABLE as error:
        raise JpkiWeakAlgorithm(WEAK) from error
    if isinstance(key, RSAPublicKey) and key.key_size in RSA_BITS and key.public_numbers().e >= 65537:
        return key
    if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP384R1):
        return key
    raise JpkiWeakAlgorithm(WEAK)


def extensions_of(certificate: x509.Certificate) -> x509.Extensions:
    """The extensions; a malformed or doubled one refuses the certificate with :class:`JpkiUntrusted`."""
    try:
        return certificate.extensions
    except UNREADABLE:
        raise JpkiUntrusted(NOT_OF_JPKI) from None


def check_shape(certificate: x509.Certificate, critical: frozenset[x509.ObjectIdentifier]) -> None:
    """Version 3, a positive serial, a named holder, not an authority, no critical extension we do not understand.

    Raises :class:`JpkiUntrusted` (RFC 5280 §4.1, §4.2).
    """
    if certificate.version is not x509.Version.v3 or certificate.serial_number <= 0:
        raise JpkiUntrusted(NOT_OF_JPKI)
    try:
        named, _ = len(certificate.subject) > 0, certificate.issuer
    except UNREADABLE:  # names are read when they are asked for
        raise JpkiUntrusted(NOT_OF_JPKI) from None
    for extension in extensions_of(certificate):
        if (extension.critical and extension.oid not in critical) or _of_an_authority(extension):
            raise JpkiUntrusted(NOT_OF_JPKI)
        named = named or (extension.critical and extension.oid == ExtensionOID.SUBJECT_ALTERNATIVE_NAME)
    if not named:
        raise JpkiUntrusted(NOT_OF_JPKI)


def _of_an_authority(extension: x509.Extension[x509.ExtensionType]) -> bool:
    match extension.value:
        case x509.BasicConstraints(ca=True):
            return True
        case x509.KeyUsage(key_cert_sign=signs_certificates, crl_sign=signs_lists):
            return signs_certificates or signs_lists
    return extension.oid in OF_AUTHORITIES


def check_issuer_key(certificate: x509.Certificate, issuer: x509.Certificate) -> None:
    """The certificate names the key that signed it (authorityKeyIdentifier), by key and, where given, by serial.

    Raises :class:`JpkiUntrusted` (RFC 5280 §4.2.1.1).
    """
    try:
        named = extensions_of(certificate).get_extension_for_class(x509.AuthorityKeyIdentifier).value
    except x509.ExtensionNotFound:
        raise JpkiUntrusted(NOT_OF_JPKI) from None
    key = extensions_of(issuer).get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    if named.key_identifier != key:
        raise JpkiUntrusted(NOT_OF_JPKI)
    if named.authority_cert_serial_number is None:
        return
    names = [name.value for name in named.authority_cert_issuer or () if isinstance(name, x509.DirectoryName)]
    if named.authority_cert_serial_number != issuer.serial_number or issuer.issuer not in names:
        raise JpkiUntrusted(NOT_OF_JPKI)


def check_validity(certificate: x509.Certificate, at: datetime) -> None:
    """Valid at that moment, to the second and without tolerance; raises :class:`JpkiExpired`."""
    moment = at.replace(microsecond=0)
    if not certificate.not_valid_before_utc <= moment <= certificate.not_valid_after_utc:
        raise JpkiExpired(EXPIRED)


def check_purpose(certificate: x509.Certificate, purpose: Purpose, realm: Realm, profile: JpkiProfile) -> None:
    """Certificate policy and key usage fit the purpose; raises :class:`JpkiWrongPurpose`.

    署名用 needs nonRepudiation; 利用者証明用 needs digitalSignature and must not have nonRepudiation.
    """
    extensions = extensions_of(certificate)
    try:
        policies = extensions.get_extension_for_class(x509.CertificatePolicies).value
        usage = extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        raise JpkiWrongPurpose(WRONG_PURPOSE[purpose]) from None
    allowed = profile.policy_oids(purpose, realm)
    if not any(policy.policy_identifier.dotted_string in allowed for policy in policies):
        raise JpkiWrongPurpose(WRONG_PURPOSE[purpose])
    if not usage.digital_signature or usage.content_commitment is not (purpose is Purpose.SIGN):
        raise JpkiWrongPurpose(WRONG_PURPOSE[purpose])


def partition_of(certificate: x509.Certificate) -> frozenset[bytes]:
    """DER names of the revocation list partitions that may list this certificate (CRL distribution points).

    JPKI names them by directory name; nothing is ever fetched because of them.
    """
    try:
        points = extensions_of(certificate).get_extension_for_class(x509.CRLDistributionPoints).value
    except x509.ExtensionNotFound:
        return frozenset()
    return frozenset(
        name.value.public_bytes()
        for point in points
        for name in point.full_name or ()
        if isinstance(name, x509.DirectoryName)
    )

"""The test authority: sign and auth CAs in several generations of one name, certificates, and revocation lists.

The name differs from the real one in ``O=JPKI-TEST`` only. Two RSA generations share one name with a P-384 one, so
whoever chooses an issuer by name chooses wrongly.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal, Self

import yaml
from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

Purpose = Literal["sign", "auth"]
KeyKind = Literal["rsa", "p384", "rsa1024"]
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

POLICIES: dict[Purpose, str] = {"sign": "1.2.392.200149.8.5.1.0.20", "auth": "1.2.392.200149.8.5.1.0.30"}
_UNITS: dict[Purpose, str] = {"sign": "JPKI for digital signature", "auth": "JPKI for user authentication"}
# name, key kind, first and last year of validity; the newest comes last
GENERATIONS: tuple[tuple[str, KeyKind, int, int], ...] = (
    ("2016", "rsa", 2016, 2026),
    ("2024", "rsa", 2024, 2034),
    ("2026", "p384", 2026, 2036),
)


def new_key(kind: KeyKind) -> PrivateKey:
    """A fresh key; ``rsa1024`` exists to be refused."""
    if kind == "p384":
        return ec.generate_private_key(ec.SECP384R1())
    return rsa.generate_private_key(public_exponent=65537, key_size=1024 if kind == "rsa1024" else 2048)


def digest_for(key: PrivateKey) -> hashes.SHA256 | hashes.SHA384:
    """SHA-384 beside P-384, SHA-256 beside RSA."""
    return hashes.SHA384() if isinstance(key, ec.EllipticCurvePrivateKey) else hashes.SHA256()


def authority_name(purpose: Purpose, organisation: str = "JPKI-TEST") -> x509.Name:
    """The distinguished name all generations of an authority share."""
    return _name(organisation, _UNITS[purpose], "Japan Agency for Local Authority Information Systems")


def partition_name(purpose: Purpose) -> x509.Name:
    """The directory name of the revocation list partition of the town's certificates."""
    return _name("JPKI-TEST", _UNITS[purpose], "CRL Distribution Points", "Anamizu-machi CRLDP")


@dataclass(frozen=True, slots=True)
class AuthorityKey:
    """One generation of one authority."""

    purpose: Purpose
    generation: str
    certificate: x509.Certificate
    key: PrivateKey = field(repr=False)

    @property
    def fingerprint(self) -> str:
        """Lowercase hex SHA-256 of the certificate."""
        return self.certificate.fingerprint(hashes.SHA256()).hex()


@dataclass(slots=True)
class JpkiTestAuthority:
    """All generations of both authorities, and who was revoked: (fingerprint, serial) → (moment, reason)."""

    keys: tuple[AuthorityKey, ...]
    revoked: dict[tuple[str, int], tuple[datetime, x509.ReasonFlags]] = field(default_factory=dict)
    crl_number: int = 0

    @classmethod
    def create(cls, organisation: str = "JPKI-TEST", generations: Sequence[str] = ("2016", "2024", "2026")) -> Self:
        """New keys for every generation named. Two authorities made alike share names but nothing else."""
        chosen = [generation for generation in GENERATIONS if generation[0] in generations]
        purposes: tuple[Purpose, ...] = ("sign", "auth")
        return cls(tuple(_new_authority(p, *generation, organisation) for p in purposes for generation in chosen))

    def key(self, purpose: Purpose, generation: str = "2024") -> AuthorityKey:
        """The authority of a purpose and generation."""
        return next(k for k in self.keys if (k.purpose, k.generation) == (purpose, generation))

    def revoke(
        self,
        certificate: x509.Certificate,
        at: datetime,
        reason: x509.ReasonFlags = x509.ReasonFlags.key_compromise,
    ) -> None:
        """Revoke; the next list that is published names the certificate."""
        self.revoked[self.issuer_of(certificate).fingerprint, certificate.serial_number] = (at, reason)

    def crl(
        self,
        authority: AuthorityKey,
        this_update: datetime,
        lifetime: timedelta = timedelta(days=7),
        *,
        number: int | None = None,
        partition: x509.Name | None = None,
    ) -> bytes:
        """A full revocation list (DER). A negative or short lifetime makes a stale one."""
        if number is None:
            self.crl_number += 1
        full_name = [x509.DirectoryName(partition or partition_name(authority.purpose))]
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(authority.certificate.subject)
            .last_update(this_update)
            .next_update(this_update + lifetime)
            .add_extension(_issuer_key(authority), critical=False)
            .add_extension(x509.CRLNumber(self.crl_number if number is None else number), critical=False)
            .add_extension(x509.IssuingDistributionPoint(full_name, None, False, False, None, False, False), True)
        )
        for (fingerprint, serial), (at, reason) in self.revoked.items():
            if fingerprint == authority.fingerprint:
                entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(at)
                builder = builder.add_revoked_certificate(entry.add_extension(x509.CRLReason(reason), False).build())
        crl = builder.sign(authority.key, digest_for(authority.key))
        return crl.public_bytes(serialization.Encoding.DER)

    def publish_crls(self, folder: Path, now: datetime, lifetime: timedelta = timedelta(days=7)) -> None:
        """Write a new list of every authority into a folder, each file replaced as a whole."""
        folder.mkdir(parents=True, exist_ok=True)
        self.crl_number = max(self.crl_number, int(now.timestamp()) - 1)  # rises over restarts too
        for authority in self.keys:
            target = folder / f"{authority.purpose}-{authority.generation}.crl"
            temporary = target.with_suffix(".new")
            temporary.write_bytes(self.crl(authority, now, lifetime))
            temporary.replace(target)

    def write_anchors(self, folder: Path) -> None:
        """Write the authority certificates and ``pins.yaml`` as a folder of trust anchors."""
        folder.mkdir(parents=True, exist_ok=True)
        for authority in self.keys:
            pem = authority.certificate.public_bytes(serialization.Encoding.PEM)
            (folder / f"{authority.purpose}_ca_{authority.generation}.pem").write_bytes(pem)
        pins = [
            {"purpose": k.purpose, "generation": k.generation, "sha256": k.fingerprint, "source": "ours"}
            for k in self.keys
        ]
        (folder / "pins.yaml").write_text(yaml.safe_dump({"anchors": pins}), encoding="utf-8")

    def save(self, folder: Path) -> None:
        """Keep keys and the list of revoked certificates in a folder only its owner reads."""
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        for authority in self.keys:
            write_private_key(folder / f"{authority.purpose}-{authority.generation}.key.pem", authority.key)
        self.write_anchors(folder / "anchors")
        rows = [
            {"issuer": i, "serial": f"{s:x}", "at": at, "reason": r.value} for (i, s), (at, r) in self.revoked.items()
        ]
        (folder / "revoked.yaml").write_text(yaml.safe_dump(rows), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what :meth:`save` wrote; raises ``FileNotFoundError`` where there is nothing."""
        keys = []
        for pin in yaml.safe_load((folder / "anchors" / "pins.yaml").read_text(encoding="utf-8"))["anchors"]:
            purpose, generation = pin["purpose"], pin["generation"]
            pem = (folder / "anchors" / f"{purpose}_ca_{generation}.pem").read_bytes()
            key = read_private_key(folder / f"{purpose}-{generation}.key.pem")
            keys.append(AuthorityKey(purpose, generation, x509.load_pem_x509_certificate(pem), key))
        revoked = {
            (row["issuer"], int(row["serial"], 16)): (row["at"], x509.ReasonFlags(row["reason"]))
            for row in yaml.safe_load((folder / "revoked.yaml").read_text(encoding="utf-8"))
        }
        return cls(tuple(keys), revoked)

    @classmethod
    def open(cls, folder: Path) -> Self:
        """The authority of a folder, made at the first call."""
        try:
            return cls.load(folder)
        except FileNotFoundError:
            authority = cls.create()
            authority.save(folder)
            return authority

    def issuer_of(self, certificate: x509.Certificate) -> AuthorityKey:
        """The authority that made a certificate; raises ``LookupError``."""
        for authority in self.keys:
            try:
                certificate.verify_directly_issued_by(authority.certificate)
            except Exception:  # noqa: S112 - whatever is wrong, this one did not issue it
                continue
            return authority
        raise LookupError("this authority did not issue that certificate")


def issue_certificate(
    authority: AuthorityKey,
    key: PrivateKey,
    *,
    attributes: Sequence[tuple[str, str]] = (),
    not_before: datetime,
    not_after: datetime,
    policy: str | None = None,
    non_repudiation: bool | None = None,
    extra: Sequence[tuple[x509.ExtensionType, bool]] = (),
    serial: int | None = None,
) -> x509.Certificate:
    """An end-entity certificate of the JPKI profile; each keyword spoils one thing for a test."""
    sign = authority.purpose == "sign"
    locality = [x509.NameAttribute(NameOID.LOCALITY_NAME, "Anamizu-machi")] if sign else []
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "JP"),
            *locality,
            x509.NameAttribute(NameOID.COMMON_NAME, secrets.token_hex(11).upper() + ("A" if not sign else "S")),
        ]
    )
    names = [x509.OtherName(x509.ObjectIdentifier(oid), asn1.encode_der(text)) for oid, text in attributes]
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=sign if non_repudiation is None else non_repudiation,
        key_encipherment=False, data_encipherment=False, key_agreement=False, key_cert_sign=False,
        crl_sign=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    cps = ["http://www.jpki.go.jp/cps.html"] if sign else None
    policies = x509.CertificatePolicies(
        [x509.PolicyInformation(x509.ObjectIdentifier(policy or POLICIES[authority.purpose]), cps)]
    )
    point = x509.DistributionPoint([x509.DirectoryName(partition_name(authority.purpose))], None, None, None)
    builder = (
        x509.CertificateBuilder()
        .issuer_name(authority.certificate.subject)
        .subject_name(subject)
        .public_key(key.public_key())
        .serial_number(serial or secrets.randbits(63) | 1)
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(usage, critical=True)
        .add_extension(policies, critical=True)
        .add_extension(x509.CRLDistributionPoints([point]), critical=False)
        .add_extension(_issuer_key(authority), critical=False)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    for extension, critical in extra:
        builder = builder.add_extension(extension, critical)
    return builder.sign(authority.key, digest_for(authority.key))


def write_private_key(path: Path, key: PrivateKey) -> None:
    """PKCS#8 PEM, readable by its owner alone."""
    path.touch(mode=0o600)
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    path.write_bytes(key.private_bytes(encoding, form, serialization.NoEncryption()))


def read_private_key(path: Path) -> PrivateKey:
    """The key that :func:`write_private_key` wrote."""
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise TypeError("not a key of a card or an authority")
    return key


def _new_authority(
    purpose: Purpose, generation: str, kind: KeyKind, first: int, last: int, organisation: str
) -> AuthorityKey:
    key = new_key(kind)
    name = authority_name(purpose, organisation)
    usage = x509.KeyUsage(
        digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    certificate = (
        x509.CertificateBuilder()
        .issuer_name(name)
        .subject_name(name)
        .public_key(key.public_key())
        .serial_number(secrets.randbits(63) | 1)
        .not_valid_before(datetime(first, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(last, 12, 31, 14, 59, 59, tzinfo=UTC))
        .add_extension(usage, critical=True)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, digest_for(key))
    )
    return AuthorityKey(purpose, generation, certificate, key)


def _issuer_key(authority: AuthorityKey) -> x509.AuthorityKeyIdentifier:
    identifier = authority.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)


def _name(organisation: str, *units: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "JP"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
            *(x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit) for unit in units),
        ]
    )

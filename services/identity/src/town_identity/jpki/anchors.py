"""Trust anchors (トラストアンカー): certificate files that count only when their SHA-256 is pinned beside them.

All generations of a JPKI authority share one distinguished name, so an issuer is found by its signature, never by
name. Anchors of a test environment are refused outright in production.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.verification import Store

from town_identity.jpki.certificate import UNREADABLE
from town_identity.jpki.profile import Purpose, Realm

PRODUCTION_ANCHORS = Path(__file__).parent / "trust_anchors" / "production"


class AnchorsUnusable(RuntimeError):
    """The configured anchors cannot be used: the service does not start."""


@dataclass(frozen=True, slots=True, eq=False)
class Anchor:
    """One self-signed authority certificate. ``fingerprint`` is the lowercase hex SHA-256 of its DER."""

    certificate: x509.Certificate
    fingerprint: str
    purpose: Purpose
    generation: str
    realm: Realm


class TrustAnchors:
    """All anchors of the process."""

    def __init__(self, anchors: Sequence[Anchor]) -> None:
        if not anchors:
            raise AnchorsUnusable("no trust anchor is configured")
        self.all = tuple(anchors)
        self.store = Store([anchor.certificate for anchor in anchors])
        self._by_certificate = {anchor.certificate: anchor for anchor in anchors}
        self.names = frozenset(anchor.certificate.subject for anchor in anchors)

    def of(self, certificate: x509.Certificate) -> Anchor:
        """The anchor that is this very certificate; raises ``KeyError``."""
        return self._by_certificate[certificate]

    def signer_of(self, document: x509.Certificate | x509.CertificateRevocationList) -> Anchor | None:
        """The anchor whose name **and key** made this certificate or revocation list; validity is not looked at."""
        for anchor in self.all:
            if anchor.certificate.subject == document.issuer and _signed_by(document, anchor.certificate):
                return anchor
        return None


def load_anchors(folders: dict[Realm, Path], environment: str) -> TrustAnchors:
    """Read the anchors of each realm.

    Raises :class:`AnchorsUnusable` for test anchors in production, a certificate that is not pinned or not a
    self-signed authority, and an unreadable file.
    """
    if environment == "production" and Realm.TEST in folders:
        raise AnchorsUnusable("test anchors are configured in production")
    return TrustAnchors([anchor for realm, folder in folders.items() for anchor in _load_folder(folder, realm)])


def _load_folder(folder: Path, realm: Realm) -> list[Anchor]:
    try:
        pins: dict[str, Any] = {
            str(pin["sha256"]).lower(): pin
            for pin in yaml.safe_load((folder / "pins.yaml").read_text(encoding="utf-8"))["anchors"]
        }
        files = sorted(folder.glob("*.pem"))
        certificates = [x509.load_pem_x509_certificate(file.read_bytes()) for file in files]
        return [_pinned(certificate, pins, realm, file) for file, certificate in zip(files, certificates, strict=True)]
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
        raise AnchorsUnusable(f"the anchors in {folder} cannot be read: {type(error).__name__}") from error


def _pinned(certificate: x509.Certificate, pins: dict[str, Any], realm: Realm, file: Path) -> Anchor:
    fingerprint = certificate.fingerprint(SHA256()).hex()
    if fingerprint not in pins:
        raise AnchorsUnusable(f"{file.name} is not pinned")
    if not _signed_by(certificate, certificate):
        raise AnchorsUnusable(f"{file.name} did not sign itself")
    extensions = {type(extension.value): extension.value for extension in certificate.extensions}
    constraints = extensions.get(x509.BasicConstraints)
    if not isinstance(constraints, x509.BasicConstraints) or not constraints.ca:
        raise AnchorsUnusable(f"{file.name} is not an authority")
    if x509.SubjectKeyIdentifier not in extensions:
        raise AnchorsUnusable(f"{file.name} does not name its key")
    pin = pins[fingerprint]
    return Anchor(certificate, fingerprint, Purpose(pin["purpose"]), str(pin["generation"]), realm)


def _signed_by(document: x509.Certificate | x509.CertificateRevocationList, issuer: x509.Certificate) -> bool:
    try:
        if isinstance(document, x509.Certificate):
            document.verify_directly_issued_by(issuer)
            return True
        return document.is_signature_valid(issuer.public_key())  # type: ignore[arg-type]  # other keys: TypeError
    except (InvalidSignature, *UNREADABLE):
        return False

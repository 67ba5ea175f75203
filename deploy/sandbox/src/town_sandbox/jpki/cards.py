"""A virtual My Number card (仮想マイナンバーカード): two keys, two certificates, one invented holder."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

import yaml
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from town_sandbox.jpki.authority import (
    JpkiTestAuthority,
    KeyKind,
    PrivateKey,
    issue_certificate,
    new_key,
    read_private_key,
    write_private_key,
)
from town_sandbox.jpki.holders import Holder
from town_sandbox.jpki.signing import default_digest, detached_cms, raw_signature, resign_with_sha1

LIFETIME = timedelta(days=5 * 365)


@dataclass(frozen=True, slots=True)
class VirtualCard:
    """署名用 (``sign_*``) and 利用者証明用 (``auth_*``) of one holder."""

    holder: Holder
    sign_certificate: x509.Certificate
    sign_key: PrivateKey = field(repr=False)
    auth_certificate: x509.Certificate
    auth_key: PrivateKey = field(repr=False)

    @classmethod
    def issue(
        cls,
        authority: JpkiTestAuthority,
        holder: Holder,
        *,
        now: datetime,
        key: KeyKind = "rsa",
        generation: str | None = None,
        lifetime: timedelta = LIFETIME,
        sign_policy: str | None = None,
        auth_policy: str | None = None,
        attributes: Sequence[tuple[str, str]] | None = None,
        sign_extra: Sequence[tuple[x509.ExtensionType, bool]] = (),
        non_repudiation: bool | None = None,
        sha1: bool = False,
    ) -> Self:
        """A card as a municipality hands it out at ``now``; each further keyword spoils one thing for a test.

        ``key="p384"`` takes the P-384 generation of the authority unless ``generation`` says otherwise.
        """
        chosen = generation or ("2026" if key == "p384" else "2024")
        signer, authenticator = authority.key("sign", chosen), authority.key("auth", chosen)
        sign_key, auth_key = new_key(key), new_key(key)
        sign_certificate = issue_certificate(
            signer,
            sign_key,
            attributes=holder.attributes() if attributes is None else attributes,
            not_before=now,
            not_after=now + lifetime,
            policy=sign_policy,
            non_repudiation=non_repudiation,
            extra=sign_extra,
        )
        auth_certificate = issue_certificate(
            authenticator, auth_key, not_before=now, not_after=now + lifetime, policy=auth_policy
        )
        if sha1:
            sign_certificate = resign_with_sha1(sign_certificate, signer.key)
            auth_certificate = resign_with_sha1(auth_certificate, authenticator.key)
        return cls(holder, sign_certificate, sign_key, auth_certificate, auth_key)

    def sign(self, content: bytes, at: datetime, *, digest: str | None = None) -> bytes:
        """Sign an application: a detached CMS (DER) by the 署名用 key."""
        return detached_cms(content, self.sign_certificate, self.sign_key, at, digest)

    def sign_with_auth(self, content: bytes, at: datetime) -> bytes:
        """What must be refused: an application signed by the 利用者証明用 key."""
        return detached_cms(content, self.auth_certificate, self.auth_key, at)

    def sign_login(self, challenge: bytes) -> bytes:
        """Answer a login challenge with the 利用者証明用 key."""
        return raw_signature(self.auth_key, challenge, default_digest(self.auth_key))

    @property
    def auth_der(self) -> bytes:
        """The 利用者証明用電子証明書 (DER)."""
        return self.auth_certificate.public_bytes(Encoding.DER)

    @property
    def sign_der(self) -> bytes:
        """The 署名用電子証明書 (DER)."""
        return self.sign_certificate.public_bytes(Encoding.DER)

    def save(self, folder: Path) -> None:
        """Keep the card in a folder only its owner reads."""
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        write_private_key(folder / "sign.key.pem", self.sign_key)
        write_private_key(folder / "auth.key.pem", self.auth_key)
        (folder / "sign.pem").write_bytes(self.sign_certificate.public_bytes(Encoding.PEM))
        (folder / "auth.pem").write_bytes(self.auth_certificate.public_bytes(Encoding.PEM))
        holder = {name: getattr(self.holder, name) for name in Holder.__slots__}
        (folder / "holder.yaml").write_text(yaml.safe_dump(holder, allow_unicode=True), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what :meth:`save` wrote; raises ``FileNotFoundError`` where there is no card."""
        return cls(
            Holder(**yaml.safe_load((folder / "holder.yaml").read_text(encoding="utf-8"))),
            x509.load_pem_x509_certificate((folder / "sign.pem").read_bytes()),
            read_private_key(folder / "sign.key.pem"),
            x509.load_pem_x509_certificate((folder / "auth.pem").read_bytes()),
            read_private_key(folder / "auth.key.pem"),
        )

    @classmethod
    def open(cls, authority: JpkiTestAuthority, holder: Holder, folder: Path, now: datetime) -> Self:
        """The card of a folder, issued at the first call and again when it has run out."""
        try:
            card = cls.load(folder)
        except FileNotFoundError:
            card = None
        if card is None or card.sign_certificate.not_valid_after_utc <= now:
            card = cls.issue(authority, holder, now=now - timedelta(days=1))
            card.save(folder)
        return card

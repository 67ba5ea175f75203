"""Wire models of signature verifications."""

from datetime import date, datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import Field

from town_identity.jpki import HolderAttributes, Sex, VerifiedSigner
from town_identity.persons import CertificateSerial
from town_kit.schemas import Input, Moment, Output

Base64Cms = Annotated[str, Field(max_length=90_000, pattern=r"^[A-Za-z0-9+/]*={0,2}$")]


class Digests(Input):
    """内容のハッシュ値。RSA のカードは SHA-256、P-384 のカードは SHA-384 を使います。"""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256（16進）")
    sha384: str | None = Field(None, pattern=r"^[0-9a-f]{96}$", description="SHA-384（16進）")

    def by_algorithm(self) -> dict[str, bytes]:
        """The digests as bytes."""
        return {name: bytes.fromhex(digest) for name, digest in self.model_dump(exclude_none=True).items()}


class VerifySignatureRequest(Input):
    """署名検証の依頼。文書そのものは送りません。"""

    digests: Digests = Field(description="署名された内容のハッシュ値")
    cms: Base64Cms = Field(description="内容を含まない CMS 署名（DER を Base64）")
    received_at: Moment = Field(description="最初に信頼できるシステムが受け取った日時")


class AttributesView(Output):
    """証明書に記載された基本4情報。代替文字のある氏名・住所は文字として比べないでください。"""

    name: str
    name_substitutes: str = Field(description="氏名の代替文字の位置（1 が代替文字）")
    sex: Sex
    birth: date | None = Field(description="生年月日。不詳なら null（年齢の確認はしないでください）")
    birth_known: bool
    address: str
    address_substitutes: str = Field(description="住所の代替文字の位置（1 が代替文字）")

    @classmethod
    def of(cls, attributes: HolderAttributes) -> Self:
        """The view of the attributes."""
        return cls(**{name: getattr(attributes, name) for name in cls.model_fields})


class VerificationView(Output):
    """署名検証の結果。"""

    person_id: UUID = Field(description="署名した人。番号紐付の前は仮の識別子")
    serial_reference: UUID = Field(description="証明書の参照。失効の再確認に使う")
    issuer: str = Field(description="認証局の証明書の SHA-256")
    generation: str = Field(description="認証局の世代")
    revocation: Literal["good", "unknown"] = Field(description="失効していない、または確認できない")
    revoked_later: bool = Field(description="受け取ったあとで失効した（署名は有効のまま）")
    revocation_source: str = Field(description="確認に使った失効情報")
    checked_at: datetime
    attributes: AttributesView

    @classmethod
    def of(cls, signer: VerifiedSigner, certificate: CertificateSerial, checked_at: datetime) -> Self:
        """The view of a verdict."""
        assert signer.attributes is not None
        return cls(
            person_id=certificate.person_id,
            serial_reference=certificate.id,
            issuer=signer.issuer,
            generation=signer.generation,
            revocation="good" if signer.revocation.status.value == "good" else "unknown",
            revoked_later=signer.revocation.revoked_later,
            revocation_source=signer.revocation.source,
            checked_at=checked_at,
            attributes=AttributesView.of(signer.attributes),
        )

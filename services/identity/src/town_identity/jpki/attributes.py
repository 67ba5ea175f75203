"""The holder's attributes in a 署名用電子証明書: 氏名・性別・生年月日・住所 and which characters stand for others.

They are otherName entries of the subjectAltName. Their order differs between descriptions and is never relied upon;
an entry that stands there twice refuses the certificate.
"""

from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from cryptography import x509
from cryptography.hazmat import asn1

from town_identity.jpki.profile import JpkiProfile
from town_kit.problems import JpkiUntrusted

_MEANING_UNKNOWN = "電子証明書の記載を読み取れません。市区町村の窓口で電子証明書を確認してください。"


class Sex(StrEnum):
    """性別 as the certificate says it; every code but two is その他・不明."""

    MALE = "male"
    FEMALE = "female"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class HolderAttributes:
    """基本4情報 of the certificate. Personal data: the repr shows none of it.

    ``birth`` is None where the certificate does not state a whole date (``birth_known`` is False then): an age check
    must fail closed. ``*_substitutes`` hold one ``0``/``1`` per character, ``1`` where the certificate shows another
    character than 住民票 (代替文字); text with a ``1`` must not be compared as text.
    """

    name: str = field(repr=False)
    name_substitutes: str = field(repr=False)
    sex: Sex = field(repr=False)
    birth: date | None = field(repr=False)
    birth_known: bool = field(repr=False)
    address: str = field(repr=False)
    address_substitutes: str = field(repr=False)

    @property
    def has_substitutes(self) -> bool:
        """Whether any character of 氏名 or 住所 stands for another one."""
        return "1" in self.name_substitutes or "1" in self.address_substitutes


def read_attributes(certificate: x509.Certificate, profile: JpkiProfile) -> HolderAttributes:
    """The six attributes of a 署名用電子証明書.

    Raises :class:`JpkiUntrusted` when one is missing, stands there twice or is not what the profile says.
    """
    values = _texts(certificate, profile.attributes.fields())
    masks = values["name_substitutes"] + values["address_substitutes"]
    if masks.strip("01") or not values["name"]:
        raise JpkiUntrusted(_MEANING_UNKNOWN)
    birth = parse_birth(values["birth"])
    code = profile.sex_codes.get(values["sex"])
    return HolderAttributes(
        name=values["name"],
        name_substitutes=values["name_substitutes"],
        sex=Sex(code.meaning) if code else Sex.OTHER,
        birth=birth,
        birth_known=birth is not None,
        address=values["address"],
        address_substitutes=values["address_substitutes"],
    )


def parse_birth(text: str) -> date | None:
    """``EYYYYMMDD`` (E: era 0–5, the year is Gregorian) → date, or None where any part is unknown or impossible."""
    if len(text) != 9 or not (text.isascii() and text.isdigit()) or text[0] not in "12345":
        return None
    try:
        return date(int(text[1:5]), int(text[5:7]), int(text[7:9]))
    except ValueError:
        return None


def _texts(certificate: x509.Certificate, fields: dict[str, str]) -> dict[str, str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        raise JpkiUntrusted(_MEANING_UNKNOWN) from None
    values: dict[str, str] = {}
    for entry in names:
        if not isinstance(entry, x509.OtherName) or (found := fields.get(entry.type_id.dotted_string)) is None:
            continue
        if found in values:
            raise JpkiUntrusted(
                "電子証明書に同じ項目が二度書かれています。市区町村の窓口で電子証明書を確認してください。"
            )
        try:
            values[found] = asn1.decode_der(str, entry.value)
        except ValueError:
            raise JpkiUntrusted(_MEANING_UNKNOWN) from None
    if len(values) != len(fields):
        raise JpkiUntrusted(_MEANING_UNKNOWN)
    return values

"""The certificate profile (証明書プロファイル) as configuration: what is uncertain is data, with its source."""

from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Literal

import yaml
from cryptography import x509

from town_kit.profiles import Marked, Part

DEFAULT_PROFILE = Path(__file__).with_name("profile.yaml")


class Purpose(StrEnum):
    """What a certificate is for: 署名用 (sign) or 利用者証明用 (auth)."""

    SIGN = "sign"
    AUTH = "auth"


class Realm(StrEnum):
    """Which world an anchor belongs to: the real authorities, or those of a test environment."""

    PRODUCTION = "production"
    TEST = "test"


class MarkedOid(Marked):
    """An object identifier and where it is known from."""

    oid: str


class SexCode(Marked):
    """What one digit of the sex attribute means."""

    meaning: Literal["male", "female"]


class AttributeOids(Part):
    """The otherName types of the six holder attributes (券面の基本4情報 and the substitute-character marks)."""

    name: MarkedOid
    name_substitutes: MarkedOid
    sex: MarkedOid
    birth: MarkedOid
    address: MarkedOid
    address_substitutes: MarkedOid

    def fields(self) -> dict[str, str]:
        """Dotted OID → field name."""
        return {getattr(self, field).oid: field for field in type(self).model_fields}


class JpkiProfile(Part):
    """Policies by purpose and realm, holder attributes, sex codes and the critical extensions that are understood."""

    policies: dict[Purpose, dict[Realm, tuple[MarkedOid, ...]]]
    attributes: AttributeOids
    sex_codes: dict[str, SexCode]
    critical_extensions: tuple[MarkedOid, ...]

    def policy_oids(self, purpose: Purpose, realm: Realm) -> frozenset[str]:
        """The certificate policies that a leaf of this purpose may carry under an anchor of this realm."""
        return frozenset(marked.oid for marked in self.policies[purpose].get(realm, ()))

    def critical(self) -> frozenset[x509.ObjectIdentifier]:
        """The critical extensions that do not refuse a certificate."""
        return frozenset(x509.ObjectIdentifier(marked.oid) for marked in self.critical_extensions)


@cache
def load_profile(path: Path = DEFAULT_PROFILE) -> JpkiProfile:
    """Read a profile file; raises ``ValidationError`` where it says too little or too much."""
    return JpkiProfile.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))

"""公的個人認証 (JPKI) — verification of My Number card signatures and logins; pure, without database or network."""

from town_identity.jpki.anchors import PRODUCTION_ANCHORS, AnchorsUnusable, TrustAnchors, load_anchors
from town_identity.jpki.attributes import HolderAttributes, Sex
from town_identity.jpki.crl_file import CrlFolder, ListKey
from town_identity.jpki.profile import JpkiProfile, Purpose, Realm, load_profile
from town_identity.jpki.revocation import AnySource, Question, Revocation, RevocationSource, Status
from town_identity.jpki.verify import JpkiVerifier, VerifiedSigner

__all__ = [
    "PRODUCTION_ANCHORS",
    "AnchorsUnusable",
    "AnySource",
    "CrlFolder",
    "HolderAttributes",
    "JpkiProfile",
    "JpkiVerifier",
    "ListKey",
    "Purpose",
    "Question",
    "Realm",
    "Revocation",
    "RevocationSource",
    "Sex",
    "Status",
    "TrustAnchors",
    "VerifiedSigner",
    "load_anchors",
    "load_profile",
]

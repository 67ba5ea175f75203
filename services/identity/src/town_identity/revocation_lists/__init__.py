"""失効リスト (CRL) — the highest number seen of each, so that an older list is refused after a restart too."""

from town_identity.revocation_lists.service import look

__all__ = ["look"]

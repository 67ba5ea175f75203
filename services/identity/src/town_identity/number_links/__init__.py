"""番号紐付 — the file that says which certificate serial belongs to which 宛名番号."""

from town_identity.number_links.profile import NumberLinkProfile, load_number_link_profile

__all__ = ["NumberLinkProfile", "load_number_link_profile"]

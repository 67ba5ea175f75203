"""原本 — what the portal sent, byte for byte, readable by the vault alone (公文書管理)."""

from town_procedures.raw_packages.models import RawPackage
from town_procedures.raw_packages.service import belongs_to, find, keep, one

__all__ = ["RawPackage", "belongs_to", "find", "keep", "one"]

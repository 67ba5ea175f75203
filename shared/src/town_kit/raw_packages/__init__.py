"""原本 — reading what the portal sends, by a profile; procedures does so on arrival, the vault after a release."""

from town_kit.raw_packages.profile import PackageProfile, load_profile
from town_kit.raw_packages.reader import Package, PackedFile, read_package

__all__ = ["Package", "PackageProfile", "PackedFile", "load_profile", "read_package"]

"""受信 — the connector's own door: whatever the portal hands over is kept, and taken, held or put aside."""

from town_procedures.intake.profile import PackageProfile, ProfileIncomplete, load_profile

__all__ = ["PackageProfile", "ProfileIncomplete", "load_profile"]

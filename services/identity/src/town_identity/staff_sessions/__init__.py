"""職員のログイン — staff sign in through the town's directory (OpenID Connect, authorization code with PKCE)."""

from town_identity.staff_sessions.directory import StaffDirectory, StaffIdentity

__all__ = ["StaffDirectory", "StaffIdentity"]

"""職員のログイン — staff sign in through the town's directory (OpenID Connect, authorization code with PKCE)."""

from town_identity.staff_sessions.directory import StaffDirectory, StaffIdentity
from town_identity.staff_sessions.watch import away_since, watch_job

__all__ = ["StaffDirectory", "StaffIdentity", "away_since", "watch_job"]

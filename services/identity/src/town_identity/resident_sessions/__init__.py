"""住民のログイン — sessions of residents by card, one per device, with refresh tokens that rotate."""

from town_identity.resident_sessions.service import delete_expired, follow_merge, is_live, refresh

__all__ = ["delete_expired", "follow_merge", "is_live", "refresh"]

"""復旧 — when the box burns: backup, restore, comparing with the outside, and a standby on other storage."""

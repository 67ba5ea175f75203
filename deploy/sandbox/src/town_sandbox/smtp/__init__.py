"""A mail server (RFC 5321) that keeps every message in its ledger and delivers none."""

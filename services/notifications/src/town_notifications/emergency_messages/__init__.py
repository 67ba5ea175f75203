"""緊急情報 — one text to everybody some channel can reach, in a lane of its own (災害対策基本法56条)."""

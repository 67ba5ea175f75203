"""処理待ち一覧 — the staff's work queue: what waits, for how long, and how much of it there is."""

"""受信 — the connector's own door: whatever the portal hands over is kept, and taken, held or put aside."""

"""Fixed moments and bytes for tests that sign something with a virtual card."""

import hashlib
from datetime import UTC, datetime

ISSUED = datetime(2026, 11, 1, 0, 0, tzinfo=UTC)
NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
CONTENT = '{"児童": [{"氏名": "能登　海"}]}'.encode()
DIGESTS = {name: hashlib.new(name, CONTENT).digest() for name in ("sha256", "sha384")}

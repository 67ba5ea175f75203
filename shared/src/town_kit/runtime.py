"""What the request path of one service works with: its database, its token check, its clock, its keys."""

from dataclasses import dataclass, field
from typing import Any

from town_kit.auth.tokens import TokenVerifier
from town_kit.clock import Clock
from town_kit.db.engine import Database
from town_kit.messaging.notify import Notifier


@dataclass(slots=True)
class Runtime:
    """One per application; lives in ``app.state.runtime``."""

    service: str
    database: Database
    verifier: TokenVerifier
    clock: Clock
    digest_key: bytes
    notifier: Notifier | None = None
    extras: dict[str, Any] = field(default_factory=dict)

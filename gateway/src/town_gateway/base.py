"""The base of the gateway's tables."""

from town_kit.db import Base


class GatewayBase(Base):
    """Tables of the database ``gateway``."""

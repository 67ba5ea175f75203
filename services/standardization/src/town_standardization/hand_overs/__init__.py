"""引渡し — accepted applications on their way into standard records."""

from town_standardization.hand_overs.consumers import hand_over_consumers
from town_standardization.hand_overs.fetch import fetch_batch

__all__ = ["fetch_batch", "hand_over_consumers"]

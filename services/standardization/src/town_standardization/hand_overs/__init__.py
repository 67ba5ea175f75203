"""引渡しの受取り — accepted applications on their way into standard records."""

from town_standardization.hand_overs.fetch import fetch_batch

__all__ = ["fetch_batch"]

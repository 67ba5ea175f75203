"""標準レコード — standard records the core systems pull, acknowledge and answer (庁内データ連携機能)."""

from town_standardization.records.events import PUBLISHED
from town_standardization.records.models import Record
from town_standardization.records.service import acknowledge, withdraw, write

__all__ = ["PUBLISHED", "Record", "acknowledge", "withdraw", "write"]

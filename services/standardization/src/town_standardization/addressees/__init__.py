"""宛名 — addressees: one 宛名番号 and one 団体内統合宛名番号 for each person (共通機能標準仕様書)."""

from town_standardization.addressees.domain import NumberPolicy
from town_standardization.addressees.service import Described, find_or_number

__all__ = ["Described", "NumberPolicy", "find_or_number"]

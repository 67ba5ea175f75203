"""The items of the 児童手当 record (認定請求)."""

from pathlib import Path

from town_standardization.adapters.items import load_groups

GROUPS = load_groups(Path(__file__).with_name("items.yaml"))

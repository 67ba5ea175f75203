"""The items of the 介護保険 record (要介護・要支援認定の申請)."""

from pathlib import Path

from town_standardization.adapters.items import load_groups

GROUPS = load_groups(Path(__file__).with_name("items.yaml"))

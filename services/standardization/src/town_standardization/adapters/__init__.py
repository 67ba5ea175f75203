"""業務アダプター — what the town hands to a core system of the 標準化対象業務, one folder for each business."""

from town_standardization.adapters.base import Adapter, AdapterRefused, HandOver, PreparedRecord, Wrong
from town_standardization.adapters.files import FileLayout, csv_file
from town_standardization.adapters.items import Group
from town_standardization.adapters.mapping import persons, value_of
from town_standardization.adapters.registry import Registry
from town_standardization.adapters.shipped import shipped

__all__ = [
    "Adapter",
    "AdapterRefused",
    "FileLayout",
    "Group",
    "HandOver",
    "PreparedRecord",
    "Registry",
    "Wrong",
    "csv_file",
    "persons",
    "shipped",
    "value_of",
]

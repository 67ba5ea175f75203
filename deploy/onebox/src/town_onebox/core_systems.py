"""基幹業務システム of a trial: one for each adapter that is shipped, and what each may ask for."""

from dataclasses import dataclass
from functools import cache

from town_procedures.catalogue import load_catalogue
from town_procedures.wiring import SHIPPED
from town_standardization.adapters import shipped


@dataclass(frozen=True)
class CoreSystem:
    """One core system.

    Attributes:
        scope: what it asks a token for (庁内データ連携: 提供側業務ID:APIコール名:操作種類), parted by spaces.
        decides: it sends results in; otherwise the town's staff decide and it only takes records over.
    """

    scope: str
    decides: bool


@cache
def core_systems() -> dict[str, CoreSystem]:
    """業務ID → core system. Who decides stands in the procedure folders that name the adapter."""
    deciding = {one.adapter for one in load_catalogue(SHIPPED).values() if one.decided_by == "core"}
    found = {}
    for adapter in shipped():
        decides = adapter.name in deciding
        operations = ("Read", "Create") if decides else ("Read",)
        scope = " ".join(f"{adapter.business_id}:{adapter.api_call}:{operation}" for operation in operations)
        found[adapter.business_id] = CoreSystem(scope, decides)
    return found

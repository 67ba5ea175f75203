"""Which adapters the town has switched on; of those that are shipped; looked up by name and by 業務ID."""

from collections.abc import Iterator, Sequence

from town_standardization.adapters.base import Adapter


class Registry:
    """The adapters of this town.

    Raises:
        ValueError: two adapters share a name or a 業務ID.
    """

    def __init__(self, adapters: Sequence[Adapter]) -> None:
        self._by_name = {adapter.name: adapter for adapter in adapters}
        self._by_business = {adapter.business_id: adapter for adapter in adapters}
        if len(self._by_name) != len(adapters) or len(self._by_business) != len(adapters):
            raise ValueError("two adapters share a name or a business")

    def __iter__(self) -> Iterator[Adapter]:
        return iter(self._by_name.values())

    def named(self, name: str, business_id: str) -> Adapter | None:
        """The adapter a procedure folder names, if it is that of its business."""
        found = self._by_name.get(name)
        return found if found is not None and found.business_id == business_id else None

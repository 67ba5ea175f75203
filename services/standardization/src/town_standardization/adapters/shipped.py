"""Which adapters are shipped: every folder beside this file is one, and nothing lists them."""

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from town_standardization import adapters
from town_standardization.adapters.base import Adapter


@cache
def shipped() -> tuple[Adapter, ...]:
    """The adapter of each folder, by 業務ID.

    Raises:
        RuntimeError: a folder's package has no ``ADAPTER``, or one of another name than the folder.
    """
    folders = [found.name for found in iter_modules(adapters.__path__) if found.ispkg]
    return tuple(sorted(map(_adapter, folders), key=lambda adapter: adapter.business_id))


def _adapter(folder: str) -> Adapter:
    found: Adapter | None = getattr(import_module(f"{adapters.__name__}.{folder}"), "ADAPTER", None)
    if found is None or found.name != folder:
        raise RuntimeError(
            f"adapters/{folder}: its package must export ADAPTER, and the adapter's name is the folder's"
        )
    return found

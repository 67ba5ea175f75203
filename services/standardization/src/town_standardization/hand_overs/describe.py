"""What answers say of a person, in the words of the 宛名; names of the answers are those of the procedure folders."""

from collections.abc import Mapping
from typing import Any

from town_standardization.adapters import value_of

_ADDRESS = ("prefecture", "municipality", "town", "block", "building")
_TAKEN = ("name", "name_kana", "birth_date", "sex")


def attributes_of(answers: Mapping[str, Any], place: str) -> dict[str, Any]:
    """Name, reading, birth date, sex and address (one line and in parts) of the person at ``place``."""
    person = value_of(answers, place)
    if not isinstance(person, Mapping):
        return {}
    found = {name: person[name] for name in _TAKEN if person.get(name)}
    address = person.get("address") or person.get("address_apart")
    if isinstance(address, Mapping):
        found["address"] = "".join(str(address[part]) for part in _ADDRESS if address.get(part))
        found["postal_code"] = address.get("postal_code")
    return found

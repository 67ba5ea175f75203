"""Taking the My Numbers out of answers: each is encrypted to the vault again, and its place becomes null. Pure."""

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from town_kit.jp import MyNumber
from town_kit.vaulting import VaultPublicKey


def sealed(
    form: Mapping[str, Any], answers: Mapping[str, Any], key: VaultPublicKey
) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """The answers without numbers, and the numbers encrypted, with pointer and role (the first part of the pointer).

    Args:
        form: the procedure's JSON Schema; its mark ``x-my-number`` says where numbers stand.
        answers: as they were signed.
        key: the vault's public key.

    What is no My Number stays: procedures refuses it by its form.
    """
    clean: dict[str, Any] = copy.deepcopy(dict(answers))
    numbers = []
    for pointer, holder, name in _places(form, clean, ""):
        try:
            number = MyNumber.parse(holder[name])
        except ValueError:
            continue
        jwe = key.encrypt(number.reveal().encode())
        numbers.append({"pointer": pointer, "role": pointer.split("/")[1], "jwe": jwe})
        holder[name] = None
    return clean, numbers


def _places(schema: Mapping[str, Any], value: Any, at: str) -> Iterator[tuple[str, Any, Any]]:
    """Pointer, container and name of each place the form marks."""
    if isinstance(value, dict):
        inner: list[tuple[Any, Any]] = [(name, schema.get("properties", {}).get(name)) for name in value]
    elif isinstance(value, list):
        inner = [(index, schema.get("items")) for index in range(len(value))]
    else:
        return
    for name, item in inner:
        if not isinstance(item, Mapping):
            continue
        pointer = f"{at}/{str(name).replace('~', '~0').replace('/', '~1')}"
        if item.get("x-my-number"):
            yield pointer, value, name
        else:
            yield from _places(item, value[name], pointer)

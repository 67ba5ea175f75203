"""A change of the key encryption key: every stored number opens before, during and after it."""

import os
from typing import Any

import pytest

from town_kit.ids import new_id
from town_kit.jp import MyNumber
from town_kit.rewrapping import Wrapped, rewrap
from town_standardization.my_numbers import NumberRefused, Vault

pytestmark = pytest.mark.case("D-40")


@pytest.fixture
def vault_database() -> str:
    return f"standardization_{new_id().hex[-12:]}"


async def stored(world: Any) -> list[Any]:
    found: list[Any] = await world.rows("SELECT id, wrapped_key, sealed FROM my_numbers ORDER BY id")
    return found


def opened(vault: Vault, rows: list[Any]) -> set[MyNumber | None]:
    found: set[MyNumber | None] = set()
    for row in rows:
        try:
            found.add(vault.unseal(row.id, bytes(row.wrapped_key), bytes(row.sealed)))
        except NumberRefused:
            found.add(None)
    return found


@pytest.mark.runbook("鍵暗号化鍵")
async def test_a_change_of_keys_that_was_stopped_goes_on_where_it_was_and_loses_no_number(world: Any) -> None:
    await world.accepted("CH-01")
    await world.settle()
    present = world.ports.vault
    old, new, digest = b"key_encryption_key".ljust(32), os.urandom(32), b"digest_key".ljust(32)
    numbers = {MyNumber.parse(number) for number in world.numbers_in("CH-01")}
    changing = Vault(present.keys, key_encryption_key=new, digest_key=digest, older_key_encryption_keys=[old])
    after = Vault(present.keys, key_encryption_key=new, digest_key=digest)
    assert opened(present, await stored(world)) == numbers
    assert len(numbers) > 1
    wrapped = Wrapped("my_numbers", changing.rewrap, NumberRefused)

    running = rewrap(world.service, wrapped, batch=1)
    first = await anext(running)
    await running.aclose()

    assert (first.seen, first.renewed, first.total) == (1, 1, len(numbers))
    assert opened(changing, await stored(world)) == numbers
    assert None in opened(after, await stored(world))

    *_, last = [progress async for progress in rewrap(world.service, wrapped, batch=2)]

    assert (last.seen, last.renewed, last.closed) == (len(numbers), len(numbers) - 1, ())
    assert opened(after, await stored(world)) == numbers
    assert opened(present, await stored(world)) == {None}
    noted = await world.rows("SELECT purpose, fields, subjects FROM audit_records WHERE action = 'keys.rewrap'")
    assert sum(int(row.purpose.split()[-1].removesuffix("件")) for row in noted) == len(numbers)
    assert not [number for row in noted for number in world.numbers_in("CH-01") if number in str(row)]


async def test_a_row_that_no_key_opens_is_named_and_left_as_it_is(world: Any) -> None:
    await world.accepted("CH-01")
    await world.settle()
    before = await stored(world)
    stranger = Vault(world.ports.vault.keys, key_encryption_key=os.urandom(32), digest_key=os.urandom(32))

    wrapped = Wrapped("my_numbers", stranger.rewrap, NumberRefused)
    *_, last = [progress async for progress in rewrap(world.service, wrapped)]

    assert (last.renewed, set(last.closed)) == (0, {row.id for row in before})
    assert await stored(world) == before

"""Requests made from each service's own description: no failure, no undeclared answer, nothing given back.

`make fuzz` runs the same for longer and with other seeds, one after another, by TOWN_FUZZ_SECONDS and TOWN_FUZZ_SEED.
"""

import os
import time
from itertools import count, islice
from typing import Any

import pytest
from tests.fuzz.asking import Asked, everything, faults, requests, send

from town_kit.auth import Role
from town_onebox.registry import ENTRIES

SECONDS = float(os.environ.get("TOWN_FUZZ_SECONDS", "5"))  # for each service; five of them serve
SEED = int(os.environ.get("TOWN_FUZZ_SEED", "174611"))
FUZZING = "TOWN_FUZZ_SECONDS" in os.environ
EACH = 40 if FUZZING else 5
SERVING = [entry.name for entry in ENTRIES if entry.serves]


@pytest.mark.timeout(60 + 2 * SECONDS)
@pytest.mark.parametrize("service", SERVING)
async def test_every_answer_is_one_that_was_promised(composed: Any, service: str) -> None:
    scopes, until = everything(composed.apps), time.monotonic() + SECONDS
    tokens = [None, *(composed.issuer.token(role, scopes[role], amr=("pwd", "otp")) for role in Role)]
    found: dict[str, None] = {}
    sent = 0
    async with composed.client(service) as client:
        for seed in count(SEED):
            for asked in requests(service, composed.apps[service], each=EACH, seed=seed, until=until):
                for token in tokens_for(asked, tokens):
                    sent += 1
                    found |= dict.fromkeys(faults(asked, await send(client, asked, token)))
            if not FUZZING or time.monotonic() > until:
                break
    print(f"{service}: {sent} requests, seeds {SEED} to {seed}, {len(found)} faults")
    assert sent > 20
    assert not found, "\n".join(islice(found, 60))


def tokens_for(asked: Asked, tokens: list[str | None]) -> list[str | None]:
    """Nobody's once an operation, then everybody's who may come through."""
    return [
        *([None] if asked.first else []),
        *(t for r, t in zip([None, *Role], tokens, strict=True) if r in asked.roles),
    ]

"""Within a service, a consumer's name is its inbox and a job's name is its lock: each stands once."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from town_kit.messaging.consumer import Consumer
from town_kit.service import Job, Service
from town_kit.settings import Zone


async def nothing() -> int:
    return 0


def service(**what: Any) -> Service:
    rest: dict[str, Any] = {"settings": None, "database": None, "verifier": None}
    return Service(name="kit", title="", zone=Zone.LGWAN, migrations=Path(), **rest, **what)


def test_two_consumers_of_one_name_are_refused() -> None:
    one, other = (Consumer(name="kit.decisions", service="kit", handlers={}) for _ in range(2))
    with pytest.raises(ValueError, match=r"kit: more than one consumer is called kit\.decisions"):
        service(consumers=(one, other))
    service(consumers=(one,))


def test_two_jobs_of_one_name_are_refused() -> None:
    job = Job("kit.counting", timedelta(seconds=1), nothing)
    with pytest.raises(ValueError, match=r"more than one job is called kit\.counting"):
        service(jobs=(job, job))

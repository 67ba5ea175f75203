"""A service on one screen: what it serves, hears, does by itself and publishes."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from town_kit.clock import Clock, SystemClock
from town_kit.db.engine import Database
from town_kit.settings import ServiceSettings, Zone

if TYPE_CHECKING:
    from town_kit.auth.tokens import TokenVerifier
    from town_kit.messaging.consumer import Consumer
    from town_kit.messaging.event import Event
    from town_kit.routing import TownRouter


@dataclass(frozen=True, slots=True)
class Job:
    """Work a service does by itself, in the worker.

    Attributes:
        name: unique in the service; also the name of its lock.
        every: pause after a run that found nothing.
        run: does a batch and answers how much it did; more than 0 runs it again at once.
        urgent: an emergency lane; woken by ``town_kit.messaging.notify.urgent``, and never behind the others.
    """

    name: str
    every: timedelta
    run: Callable[[], Awaitable[int]]
    urgent: bool = False


@dataclass
class Service:
    """Everything the composition root needs to serve and work for one service."""

    name: str
    title: str
    zone: Zone
    settings: ServiceSettings
    database: Database
    verifier: "TokenVerifier"
    migrations: Path
    routers: "Sequence[TownRouter]" = ()
    consumers: "Sequence[Consumer]" = ()
    jobs: Sequence[Job] = ()
    events: "Sequence[type[Event]]" = ()
    clock: Clock = field(default_factory=SystemClock)
    description: str = ""
    resources: Sequence[Callable[[], AbstractAsyncContextManager[Any]]] = ()
    republish: Callable[[], Awaitable[int]] | None = None
    alarms: Mapping[str, Callable[[], Awaitable[None]]] = field(default_factory=dict)
    """Checks that ``/readyz`` tells and that leave the process ready; one raises when people should look."""
    extras: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raises ``ValueError`` where two consumers would share an inbox, or two jobs a lock."""
        for kind, names in (
            ("consumer", [one.name for one in self.consumers]),
            ("job", [one.name for one in self.jobs]),
        ):
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"{self.name}: more than one {kind} is called {', '.join(twice)}")


async def exclusive(session: AsyncSession, name: str) -> bool:
    """Whether this transaction is the only one doing ``name`` in its database; held until it ends."""
    statement = text("SELECT pg_try_advisory_xact_lock(hashtextextended(:name, 7461))")
    return bool((await session.execute(statement, {"name": name})).scalar_one())

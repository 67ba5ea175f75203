"""What the slices are handed: database, clock, channels and the town's words, chosen in ``wiring.py``."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from town_kit.clock import Clock
from town_kit.db import Database
from town_notifications.channels import Channel, ChannelAdapter, Lane
from town_notifications.languages import Language


@dataclass(frozen=True, slots=True)
class Town:
    """The town's own words."""

    names: Mapping[str, str]

    def name(self, language: Language) -> str:
        """The name of the town."""
        return self.names[language]

    def sample_procedure(self, language: Language) -> str:
        """What stands for a procedure's title where none is known."""
        return _A_PROCEDURE[language]


_A_PROCEDURE = {Language.JA: "手続き", Language.JA_SIMPLE: "手続（てつづ）き", Language.EN: "your procedure"}


@dataclass(frozen=True, slots=True)
class Ports:
    """One per process. Each lane has adapters, and so connections, of its own."""

    database: Database
    clock: Clock
    town: Town
    lanes: Mapping[Lane, Mapping[Channel, ChannelAdapter]]
    code_key: bytes

    @property
    def channels(self) -> frozenset[Channel]:
        """The channels that are set up."""
        return frozenset(self.lanes[Lane.ORDINARY])


async def _ports(request: Request) -> Ports:
    found: Ports = request.app.state.runtime.extras["ports"]
    return found


Wired = Annotated[Ports, Depends(_ports)]

"""What the slices are handed: adapters, neighbours, the vault and its policies, chosen in ``wiring.py``."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Protocol
from uuid import UUID

from fastapi import Depends, Request

from town_kit.auth import Principal
from town_kit.clock import Clock
from town_kit.db import Database
from town_standardization.adapters import Registry
from town_standardization.addressees import NumberPolicy
from town_standardization.my_numbers import Vault


class ApplicationSource(Protocol):
    """Where accepted applications are fetched."""

    async def hand_over(self, application_id: UUID) -> Mapping[str, Any] | None:
        """The hand-over document, or None where there is no such application any more.

        Raises:
            DependencyUnavailable: nobody answers.
        """
        ...


class PersonSource(Protocol):
    """Where the 宛名番号 of a person is known."""

    async def addressee_number(self, person_id: UUID) -> str | None:
        """Her 宛名番号, or None while no 番号紐付 has named it.

        Raises:
            DependencyUnavailable: nobody answers.
        """
        ...


@dataclass(frozen=True, slots=True)
class Ports:
    """One per process."""

    database: Database
    clock: Clock
    adapters: Registry
    applications: ApplicationSource
    persons: PersonSource
    vault: Vault
    numbering: NumberPolicy
    municipality_code: str
    drop_folders: Mapping[str, Path]
    principal: Principal


def _ports(request: Request) -> Ports:
    found: Ports = request.app.state.runtime.extras["ports"]
    return found


Wired = Annotated[Ports, Depends(_ports)]

"""What the slices are handed: adapters, neighbours, the vault and its policies, chosen in ``wiring.py``."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Protocol
from uuid import UUID

from fastapi import Depends, Request

from town_kit.auth import Principal
from town_kit.clock import Clock
from town_kit.db import Database
from town_kit.http import Outbound
from town_kit.raw_packages import PackageProfile
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


class TextSource(Protocol):
    """Where free texts lie that hold a number and were encrypted to the vault whole."""

    async def sealed_texts(self, application_id: UUID) -> Mapping[str, Any] | None:
        """``business_id``, ``persons`` and ``texts`` (pointer, jwe) of an application, or None where there is none.

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


class PackageDesk(Protocol):
    """Where raw packages are fetched, and handed in again once they were read."""

    def raw_package(self, raw_package_id: UUID) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """The bytes of a raw package as they lie, for the vault alone to open.

        Raises:
            DependencyUnavailable: nobody answers.
        """
        ...

    async def procedure_of(self, portal_id: str) -> tuple[str, Mapping[str, Any]] | None:
        """Code and form of the procedure with this number at the portal, or None.

        Raises:
            DependencyUnavailable: nobody answers.
        """
        ...

    async def hand_in(self, body: Mapping[str, Any]) -> str | None:
        """Hand a released package in: what came of it, ``refused``, or None where it is no longer released.

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
    texts: TextSource
    persons: PersonSource
    packages: PackageDesk
    package_profile: PackageProfile
    vault: Vault
    clients: tuple[Outbound, ...]
    numbering: NumberPolicy
    municipality_code: str
    drop_folder: Path | None
    principal: Principal


async def _ports(request: Request) -> Ports:
    found: Ports = request.app.state.runtime.extras["ports"]
    return found


Wired = Annotated[Ports, Depends(_ports)]

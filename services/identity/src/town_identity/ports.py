"""What the slices are handed: verifier, keys, clients, staff directory; chosen in ``wiring.py`` and nowhere else."""

import asyncio
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from town_identity import revocation_lists
from town_identity.clients import ClientRegistry, ScopeCatalogue
from town_identity.jpki import CrlFolder, JpkiVerifier, TrustAnchors
from town_identity.keys import AccessTokens
from town_identity.number_links import NumberLinkProfile
from town_identity.sealing import Sealer
from town_identity.settings import IdentitySettings
from town_identity.staff_sessions import StaffDirectory
from town_kit.clock import Clock
from town_kit.db import Database


@dataclass(frozen=True, slots=True)
class Ports:
    """One per process."""

    settings: IdentitySettings
    database: Database
    clock: Clock
    anchors: TrustAnchors
    jpki: JpkiVerifier
    revocation_lists: CrlFolder
    sealer: Sealer
    tokens: AccessTokens
    clients: ClientRegistry
    scopes: ScopeCatalogue
    number_links: NumberLinkProfile
    staff: StaffDirectory | None
    looking: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def look_for_lists(self) -> None:
        """Read revocation lists that have arrived, if it is time to look."""
        if not self.revocation_lists.due():
            return
        async with self.looking:
            if self.revocation_lists.due():
                await revocation_lists.look(self.database, self.revocation_lists, self.clock)

    async def lists_count(self) -> None:
        """An alarm for people: raises while a file in the folder is none that counts, such as an older list."""
        await self.look_for_lists()
        if self.revocation_lists.refused:
            raise RuntimeError("a file in the folder of revocation lists does not count; the log says why")


async def act_as_service(session: AsyncSession) -> None:
    """Before a sign-in nobody is there yet: for the rest of this transaction identity itself acts."""
    await session.execute(text("SELECT set_config('town.role', 'service', true)"))


async def _ports(request: Request) -> Ports:
    found: Ports = request.app.state.runtime.extras["ports"]
    return found


Wired = Annotated[Ports, Depends(_ports)]

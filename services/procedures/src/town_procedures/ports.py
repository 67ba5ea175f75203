"""What the slices are handed: the catalogue, the neighbours and the keys, chosen in ``wiring.py`` and nowhere else."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Protocol

from fastapi import Depends, Request

from town_kit.blobs import BlobStore
from town_kit.clock import Clock
from town_kit.db import Database
from town_kit.jp import BusinessDays
from town_kit.raw_packages import PackageProfile
from town_kit.vaulting import VaultPublicKey
from town_procedures.applications import SerialStatus, SignatureFacts
from town_procedures.catalogue import Procedure


class SignatureVerifier(Protocol):
    """Somebody who judges a detached CMS signature over a digest (公的個人認証法)."""

    async def verify(self, *, digests: Mapping[str, bytes], cms: bytes, received_at: datetime) -> SignatureFacts:
        """The verdict over content with these digests (``sha256``, ``sha384``).

        A refusal comes as one of the ``jpki-*`` problems or as ``signature-invalid``.
        """
        ...

    async def recheck(self, serial_reference: str, received_at: datetime) -> SerialStatus:
        """The status of a certificate seen before, at the moment of receipt."""
        ...


@dataclass(frozen=True, slots=True)
class Ports:
    """One per process."""

    database: Database
    catalogue: Mapping[str, Procedure]
    signatures: SignatureVerifier
    vault: VaultPublicKey
    blobs: BlobStore
    calendar: BusinessDays
    clock: Clock
    digest_key: bytes
    municipality_code: str
    packages: PackageProfile


async def _ports(request: Request) -> Ports:
    found: Ports = request.app.state.runtime.extras["ports"]
    return found


Wired = Annotated[Ports, Depends(_ports)]

"""Who is asking: a resident, a member of staff, a vendor's client or one of the town's own services."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID


class Role(StrEnum):
    """The four kinds of caller; row security and the authorisation matrix know no other."""

    RESIDENT = "resident"
    STAFF = "staff"
    VENDOR = "vendor"
    SERVICE = "service"


RESIDENT, STAFF, VENDOR, SERVICE = Role.RESIDENT, Role.STAFF, Role.VENDOR, Role.SERVICE


@dataclass(frozen=True, slots=True)
class Principal:
    """A verified caller.

    ``id`` is the person of a resident, the account of a member of staff, or the client of a vendor or service.
    ``amr`` names the factors used (RFC 8176).
    """

    id: UUID
    role: Role
    client_id: str
    scopes: frozenset[str]
    amr: tuple[str, ...] = ()
    session_id: str | None = None

    def may(self, scope: str) -> bool:
        """Whether the token carries the scope."""
        return scope in self.scopes

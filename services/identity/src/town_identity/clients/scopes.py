"""Who may hold which scope (権限): data in ``scopes.yaml``, read at start."""

from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict

from town_kit.auth import Role


class ScopeCatalogue(BaseModel):
    """Scopes of residents, of staff by group of the directory, of each service; patterns of what a vendor may hold."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    resident: frozenset[str]
    staff: dict[str, frozenset[str]]
    services: dict[str, frozenset[str]]
    vendors: frozenset[str]

    def of_staff(self, groups: Iterable[str]) -> frozenset[str]:
        """The scopes of a member of staff with these groups; unknown groups give nothing."""
        return frozenset().union(*(self.staff.get(group, frozenset()) for group in groups))

    def allowed(self, role: Role, client_id: str, scope: str) -> bool:
        """Whether a client of that role may be configured with the scope."""
        if role is Role.SERVICE:
            return scope in self.services.get(client_id, frozenset())
        return role is Role.VENDOR and any(fnmatchcase(scope, pattern) for pattern in self.vendors)

    def every_scope(self) -> frozenset[str]:
        """Every scope that is written out, without the vendors' patterns."""
        return self.resident.union(*self.staff.values(), *self.services.values())


def load_scopes(path: Path) -> ScopeCatalogue:
    """Read a catalogue; raises ``ValidationError`` where it is not one."""
    return ScopeCatalogue.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))

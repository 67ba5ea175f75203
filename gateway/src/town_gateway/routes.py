"""Which path leads to which service, across which zone border; and what of a service the public never reaches.

A table, not code: adding a service is adding a row. MY_NUMBER has no row: standardization has a listener of its own,
and no path from the Internet leads there (三層の対策).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from town_kit.settings import Zone

FORWARDED = ("/v1/", "/.well-known/")


class Operation(NamedTuple):
    """A method and a path of a service; ``{…}`` stands for one segment."""

    method: str
    path: str


@dataclass(frozen=True)
class Route:
    """One service behind the gateway.

    Attributes:
        service: its name, which is also the first segment of the path.
        zone: the zone it runs in; the gateway itself runs in INTERNET.
        title: what it does, in Japanese, for the merged API description.
        public: operations that need no token.
        sign_in: operations that check a secret or a card, with a limit of their own.
        emergency: operations of the emergency lane.
        hidden: paths that only other services call; from outside they do not exist.
    """

    service: str
    zone: Zone
    title: str
    public: tuple[Operation, ...] = ()
    sign_in: tuple[Operation, ...] = ()
    emergency: tuple[Operation, ...] = ()
    hidden: tuple[str, ...] = ()
    _patterns: dict[str, re.Pattern[str]] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._patterns.update(
            public=_operations((*self.public, *self.sign_in)),
            sign_in=_operations(self.sign_in),
            emergency=_operations(self.emergency),
            hidden=_pattern(self.hidden),
        )

    @property
    def prefix(self) -> str:
        """The path under which the gateway shows this service."""
        return "/" + self.service

    def reachable(self, path: str) -> bool:
        """Whether a service-relative path exists for a caller from outside."""
        return path.startswith(FORWARDED) and not self._patterns["hidden"].fullmatch(path)

    def is_public(self, method: str, path: str) -> bool:
        """Whether the operation needs no token."""
        return self._patterns["public"].fullmatch(f"{method} {path}") is not None

    def is_sign_in(self, method: str, path: str) -> bool:
        """Whether the operation checks a secret or a card."""
        return self._patterns["sign_in"].fullmatch(f"{method} {path}") is not None

    def is_emergency(self, method: str, path: str) -> bool:
        """Whether the operation belongs to the emergency lane."""
        return self._patterns["emergency"].fullmatch(f"{method} {path}") is not None


def _pattern(paths: Iterable[str]) -> re.Pattern[str]:
    """One expression for a set of paths; it matches nothing when the set is empty."""
    parts = [re.sub(r"\\\{[^/{}]*\\\}", "[^/]+", re.escape(path)) for path in paths]
    return re.compile("|".join(parts) or r"(?!)")


def _operations(operations: Iterable[Operation]) -> re.Pattern[str]:
    return _pattern(f"{operation.method} {operation.path}" for operation in operations)


ROUTES: tuple[Route, ...] = (
    Route(
        "identity",
        Zone.LGWAN,
        "公的個人認証・本人確認",
        public=(
            Operation("GET", "/.well-known/jwks.json"),
            Operation("GET", "/.well-known/oauth-authorization-server"),
        ),
        sign_in=(
            Operation("POST", "/v1/oauth/token"),
            Operation("POST", "/v1/login-challenges"),
            Operation("POST", "/v1/resident-sessions"),
            Operation("POST", "/v1/staff-authorizations"),
            Operation("POST", "/v1/staff-sessions"),
            Operation("POST", "/v1/sealed-staff-sessions"),
        ),
        hidden=("/v1/oauth/introspect", "/v1/signature-verifications", "/v1/serial-status-checks"),
    ),
    Route(
        "procedures",
        Zone.LGWAN,
        "行政手続・申請管理",
        public=(Operation("GET", "/v1/procedures"), Operation("GET", "/v1/procedures/{code}")),
        hidden=(
            "/v1/intake",
            "/v1/intake/{step}",
            "/v1/raw-packages/{id}",
            "/v1/applications/{id}/hand-over",
            "/v1/applications/{id}/sealed-texts",
        ),
    ),
    Route(
        "notifications",
        Zone.INTERNET,
        "緊急情報・お知らせ",
        emergency=(
            Operation("POST", "/v1/emergency-messages"),
            Operation("POST", "/v1/emergency-messages/preview"),
            Operation("POST", "/v1/emergency-messages/{id}/cancel"),
        ),
    ),
)


class Match(NamedTuple):
    """Where a request goes: the row of the table and the path as the service knows it."""

    route: Route
    path: str


class RouteTable:
    """Finds the service of a path by its first segment."""

    def __init__(self, routes: Iterable[Route] = ROUTES) -> None:
        self.routes = {route.service: route for route in routes}

    def match(self, path: str) -> Match | None:
        """The service and its relative path, or None when the gateway itself answers the path."""
        cut = path.find("/", 1)
        if cut < 0:
            return None
        route = self.routes.get(path[1:cut])
        return Match(route, path[cut:]) if route is not None else None

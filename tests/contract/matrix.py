"""The authorisation matrix as data: what stands behind each parameter of a path, and whose it is.

Every route with a parameter must find its thing in ``THINGS`` (or a reason in ``NOT_THINGS``), so that the matrix can
try it with an object of one's own and with somebody else's. A route that stands nowhere fails ``make check``.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fastapi.routing import APIRoute

from town_kit.auth import Role
from town_kit.routing import Policy, is_declared, policy_of

# Open to everyone and touching nobody's data: health, descriptions, the first page and its files.
OPEN = re.compile(r"^/(livez|readyz|openapi\.json|reference|portal/[a-z.-]+|favicon\.ico)?$")
PARAMETER = re.compile(r"\{([^}:]+)[^}]*\}")
OWNER, ID, SEALED, BLOB = "the owner", "the id", "sealed by its service", "a blob of its service"
PERSONAL = frozenset({Role.RESIDENT, Role.VENDOR})
"""Roles that see what is theirs alone; staff and services see everything of their office."""


@dataclass(frozen=True)
class Thing:
    """How a thing is put into a database; one with no ``ID`` is the owner herself.

    Attributes:
        database: the service that owns it.
        rows: tables and values; ``OWNER`` and ``ID`` stand for the person or client, and the thing's id, ``SEALED``
            and ``BLOB`` for what its service sealed or stored. A column that is needed and not named gets some value of
            its type, a reference a row of its own.
    """

    database: str
    rows: tuple[tuple[str, Mapping[str, Any]], ...]

    def with_values(self, values: Mapping[str, Any] | None) -> "Thing":
        """The same thing with other values in its first row."""
        (table, first), *others = self.rows
        return Thing(self.database, ((table, {**first, **(values or {})}), *others))


def _one(database: str, table: str, **values: Any) -> Thing:
    return Thing(database, ((table, {"id": ID, **values}),))


APPLICATION = Thing(
    "procedures",
    (
        (
            "applications",
            {
                "id": ID,
                "version": 1,
                "procedure_code": "LC-01",
                "state": "submitted",
                "decided_by": "staff",
                "channel": "app",
                "party_refs": [{"role": "applicant", "person_id": OWNER, "protected": False}],
            },
        ),
        ("application_parties", {"application_id": ID, "person_id": OWNER, "role": "applicant"}),
        ("application_documents", {"id": ID, "application_id": ID, "media_type": "application/pdf", "blob_id": BLOB}),
    ),
)
CALLBACK = {"id": ID, "owner_id": OWNER, "state": "active", "secret": SEALED}
MESSAGE: dict[str, Any] = {"priority": "ordinary", "unreached": "letters", "language": "ja", "version": 1}
DELIVERED = {**MESSAGE, "state": "delivered", "ended_at": "now"}
ON_LIST = {**DELIVERED, "state": "handed_to_staff", "list_name": "letters", "listed_at": "now", "listed_on": "today"}
APPLIED = {"state": "applied", "version": 1, "summary": {"rows": 1}, "content_sealed": None}

# (service, path up to its first parameter) → what the parameter names
THINGS: Mapping[tuple[str, str], Thing] = {
    ("identity", "/v1/devices/{device_id}"): Thing(
        "identity", (("persons", {"id": OWNER}), ("resident_sessions", {"id": ID, "person_id": OWNER}))
    ),
    ("identity", "/v1/persons/{person_id}"): Thing("identity", (("persons", {"id": OWNER}),)),
    ("identity", "/v1/number-links/{import_id}"): _one("identity", "number_links", **APPLIED),
    ("procedures", "/v1/applications/{application_id}"): APPLICATION,
    ("procedures", "/v1/attachments/{attachment_id}"): _one("procedures", "attachments", uploaded_by=OWNER),
    ("procedures", "/v1/quarantined-packages/{package_id}"): _one(
        "procedures", "quarantined_packages", state="quarantined", version=1, errors=[], procedure_code="LC-01"
    ),
    ("procedures", "/v1/raw-packages/{raw_package_id}"): _one(
        "procedures", "raw_packages", blob_id=BLOB, application_id=None
    ),
    ("standardization", "/v1/hand-overs/{application_id}"): _one("standardization", "hand_overs", state="held"),
    ("notifications", "/v1/messages/{message_id}"): _one("notifications", "messages", person_id=OWNER, **DELIVERED),
    ("notifications", "/v1/devices/{device_id}"): _one("notifications", "devices", person_id=OWNER, platform="android"),
    ("notifications", "/v1/contact-points/{contact_point_id}"): _one(
        "notifications", "contact_points", person_id=OWNER, state="pending", issue=1, code_tries=0, attempts=0
    ),
    ("notifications", "/v1/emergency-messages/{emergency_message_id}"): _one(
        "notifications",
        "emergency_messages",
        version=1,
        status="test",
        state="dispatched",
        texts={"ja": {"title": "試験", "body": "試験"}},
        withheld={},
    ),
    ("notifications", "/v1/undelivered-messages/{message_id}"): _one("notifications", "messages", **ON_LIST),
    ("gateway", "/apps/kosodate/v1/applications/{application_id}"): APPLICATION,
    ("gateway", "/v1/callbacks/{callback_id}"): Thing(
        "gateway",
        (
            ("callbacks", CALLBACK),
            ("callback_deliveries", {"id": ID, "callback_id": ID, "owner_id": OWNER, "state": "parked"}),
        ),
    ),
}
# Parameters that name no object somebody owns.
NOT_THINGS: Mapping[tuple[str, str], str] = {
    ("procedures", "/v1/procedures/{code}"): "a published procedure, open to everyone",
    ("notifications", "/v1/templates/{kind}"): "a kind of message, the same for all of the town's staff",
}
# (service, path of a list or of one's own) → what the caller's rows are made of; somebody else's must not be among them
LISTS: Mapping[tuple[str, str], Thing] = {
    ("identity", "/v1/devices"): THINGS["identity", "/v1/devices/{device_id}"],
    ("procedures", "/v1/applications"): APPLICATION,
    ("notifications", "/v1/messages"): THINGS["notifications", "/v1/messages/{message_id}"],
    ("notifications", "/v1/devices"): THINGS["notifications", "/v1/devices/{device_id}"],
    ("notifications", "/v1/contact-points"): THINGS["notifications", "/v1/contact-points/{contact_point_id}"],
    ("gateway", "/v1/callbacks"): THINGS["gateway", "/v1/callbacks/{callback_id}"],
    ("gateway", "/apps/kosodate/v1/applications"): APPLICATION,
    ("gateway", "/apps/kosodate/v1/inbox"): THINGS["notifications", "/v1/messages/{message_id}"].with_values(
        {"title": ID}  # an entry has no id
    ),
}
# What residents and vendors read without naming a thing, and why no row of a person can be in it by mistake.
NOT_LISTS: Mapping[tuple[str, str], str] = {
    ("notifications", "/v1/preferences"): "the caller's one row, found by her own id",
}
BUSINESS_LIST = re.compile(r"/v1/data-linkage/\d{3}/")
"""Records of one business: the scope names the business, and row security shows nothing of another one."""
CORRECTION = {
    "texts": {"ja": {"title": "訂正", "body": "取り消します"}},
    "status": "test",
    "valid_hours": 1,
    "confirmed_digest": "0" * 64,
}
# Routes whose caller chooses the id: what is not there is made, and what is somebody else's is still not there for her.
CHOSEN = frozenset({("PUT", "/v1/attachments/{attachment_id}")})
# What a route that takes a file gets: its query, media type and bytes.
FILES: Mapping[str, tuple[Mapping[str, str], str, bytes]] = {
    "/v1/attachments/{attachment_id}": (
        {"kind": "insured_card"},
        "application/pdf",
        b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer\n<< /Root 1 0 R >>\n%%EOF\n",
    ),
}
# What an unsafe route reads, so that the answer speaks of the object and not of the body.
BODIES: Mapping[str, Any] = {
    "/v1/applications/{application_id}/decide": {"decision": "approved"},
    "/v1/applications/{application_id}/draft": {"decision": "approved"},
    "/v1/contact-points/{contact_point_id}/confirm": {"code": "123456"},
    "/v1/undelivered-messages/{message_id}/handle": {"handling": "posted", "note": None},
    "/v1/emergency-messages/{emergency_message_id}/cancel": CORRECTION,
    "/v1/quarantined-packages/{package_id}/discard": {"note": "試験"},
}
# (service, path, place in the body) → why an id there opens nobody else's thing
IN_BODIES: Mapping[tuple[str, str, str], str] = {
    ("gateway", "/apps/kosodate/v1/sessions", "/challenge_id"): "redeemed once, by who signs it",
    ("identity", "/v1/resident-sessions", "/challenge_id"): "redeemed once, by who signs it",
    ("identity", "/v1/serial-status-checks", "/serial_reference"): "asked by the town's own services alone",
    ("procedures", "/v1/applications", "/attachments/*/id"): "who uploaded it alone (attachments/test_upload.py)",
    ("procedures", "/v1/applications", "/parties/*/person_id"): "read from staff alone (applications/test_submit.py)",
    ("procedures", "/v1/intake/released", "/released_id"): "named by the vault alone",
    ("standardization", "/v1/free-text-readings", "/application_id"): "officers of the My Number business read of all",
}
# A move needs a thing that can make it.
READY: Mapping[str, Mapping[str, Any]] = {
    "/v1/applications/{application_id}/draft": {"state": "accepted"},
    "/v1/applications/{application_id}/decide": {"state": "accepted"},
    "/v1/applications/{application_id}/complete": {"state": "approved"},
    "/v1/callbacks/{callback_id}/resume": {"state": "disabled"},
}
# Where one's own thing is found and still not moved, by what stops it: neither is told of a thing that is not there.
STOPPED: Mapping[str, str] = {
    "/v1/emergency-messages/{emergency_message_id}/cancel": "preview-outdated",  # the digest is of another preview
    "/v1/number-links/{import_id}/apply": "state-conflict",  # it was applied; its file is gone
    "/v1/attachments/{attachment_id}": "state-conflict",  # one's own id, taken by another file
}


@dataclass(frozen=True)
class Listed:
    """A route as the matrix tries it."""

    service: str
    route: APIRoute
    policy: Policy
    thing: Thing | None = field(default=None)

    @property
    def method(self) -> str:
        """Its one method."""
        return next(iter(self.route.methods or {"GET"}))

    @property
    def makes_what_is_not_there(self) -> bool:
        """Whether its caller chooses the id."""
        return (self.method, self.route.path_format) in CHOSEN

    @property
    def parameters(self) -> int:
        """How many things its path names, one inside the other."""
        return len(PARAMETER.findall(self.route.path_format))

    @property
    def tells_rows(self) -> bool:
        """Whether it tells rows that belong to its caller without naming one."""
        return (
            self.method == "GET"
            and self.policy.scope is not None
            and not self.parameters
            and bool(self.policy.roles & PERSONAL)
        )

    def path(self, *ids: object) -> str:
        """Its path for these things, outermost first; what is inside a thing has its id if none is given."""
        given = list(ids)
        return (
            PARAMETER.sub(lambda _: str(given.pop(0) if len(given) > 1 else given[0]), self.route.path_format)
            if ids
            else self.route.path_format
        )


def prefix_of(path: str) -> str:
    """A path up to its first parameter."""
    found = PARAMETER.search(path)
    return path[: found.end()] if found else path


def declared(routes: Iterable[Any]) -> tuple[list[tuple[APIRoute, Policy]], list[str]]:
    """The routes that are not open to everyone, with what they declare; and those that declare nothing."""
    good, wrong = [], []
    for route in routes:
        path = getattr(route, "path_format", getattr(route, "path", "?"))
        if OPEN.match(path):
            continue
        if is_declared(route):
            good.append((route, policy_of(route)))
        else:
            wrong.append(f"{path} declares neither scope nor problems")
    return good, wrong


def listed(service: str, routes: Iterable[Any]) -> tuple[list[Listed], list[str]]:
    """The routes of a service with the things they name, and what is wrong with others."""
    found, wrong = declared(routes)
    good = []
    for route, policy in found:
        key = (service, prefix_of(route.path_format))
        if PARAMETER.search(route.path_format) and key not in THINGS and key not in NOT_THINGS:
            wrong.append(f"{route.path_format} stands in no line of tests/contract/matrix.py")
        each = Listed(service, route, policy, THINGS.get(key, LISTS.get(key)))
        if each.tells_rows and key not in LISTS and key not in NOT_LISTS and not BUSINESS_LIST.match(key[1]):
            wrong.append(f"{route.path_format} is a list that stands in no line of tests/contract/matrix.py")
        good.append(each)
    return good, [f"{service} {line}" for line in wrong]

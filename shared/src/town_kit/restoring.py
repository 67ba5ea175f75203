"""After a restore (復元後の照合): leave out numbers that were given, recognise what went out, name what is gone.

A backup is older than the world around it. What happened in between is known outside only, so the operator brings the
outside's own lists, one object a line:

=========================  ===========================================================================================
``portal-applications``    ``receipt_no``
``portal-statuses``        ``receipt_no``, ``sequence``, ``code``, ``message``, ``occurred_at`` (ISO 8601)
``records``                ``business_id``, ``key``, ``history_number``, ``acknowledged_at``, ``decided`` (true, false)
``deliveries``             ``delivery_id``: the left half of a mail's Message-ID, the tag of a push
``created``                ``location``: what the web processes' log says was made
``heads``                  ``service``, ``seq``, ``hash``: audit heads as they were anchored
=========================  ===========================================================================================
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

NAMES = ("portal-applications", "portal-statuses", "records", "deliveries", "created", "heads")
Entries = Sequence[Mapping[str, Any]]
Lists = Mapping[str, Entries]


@dataclass(frozen=True, slots=True)
class Missing:
    """Something the outside has and the town does not, or has otherwise.

    Attributes:
        kind: a slug, such as ``application``; the count of each stands in the report.
        name: its name outside: a 受付番号, a key, an id; never content.
        told: what it means and what to do, for the operator.
    """

    kind: str
    name: str
    told: str


@dataclass(frozen=True, slots=True)
class Skip:
    """Numbers that may have been given between backup and loss, and are never given again.

    Attributes:
        label: what they number, for the operator.
        statement: SQL for the owner of the database; each row it answers is one line of the report.
    """

    label: str
    statement: str


@dataclass(frozen=True, slots=True)
class Restoring:
    """What a service adds to a restore; everything may run again.

    Attributes:
        skips: run once by the restore, before anything else may write.
        claims: SQL for the owner of the database, run before the first start of what was restored or promoted: what
            workers of the machine that is gone had in hand is anybody's at once. Answers a row for each.
        recognise: takes down what the outside already has, before the service starts; answers how much that was.
        missing: compares, as often as wanted.
    """

    skips: Sequence[Skip] = ()
    claims: Sequence[str] = ()
    recognise: Callable[[AsyncSession, Lists], Awaitable[int]] | None = None
    missing: Callable[[AsyncSession, Lists], Awaitable[list[Missing]]] | None = None

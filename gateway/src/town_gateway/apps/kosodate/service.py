"""What the services answer, turned into what a family reads."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any
from uuid import UUID

from town_gateway.apps.kosodate.schemas import InboxEntry, MyApplication, Step
from town_kit.clock import JST
from town_kit.jp import Wareki

Json = Mapping[str, Any]


def titles(procedures: Iterable[Json]) -> dict[str, str]:
    """Procedure code → its Japanese title."""
    return {procedure["code"]: procedure["title"]["ja"] for procedure in procedures}


def my_application(application: Json, names: Mapping[str, str]) -> MyApplication:
    """An application as `procedures` shows it, for the app."""
    expected = date.fromisoformat(application["expected_on"]) if application["expected_on"] else None
    return MyApplication(
        id=UUID(application["id"]),
        reference=application["reference"],
        title=names.get(application["procedure_code"], application["procedure_code"]),
        state=application["state"],
        label=application["state_label"],
        next_step=application["next_step"],
        expected_on=expected,
        expected_label=f"{Wareki.of(expected).format()}ごろ" if expected else None,
        state_since=datetime.fromisoformat(application["state_since"]),
        received_at=datetime.fromisoformat(application["received_at"]),
    )


def step(transition: Json) -> Step:
    """One move of an application."""
    at = datetime.fromisoformat(transition["at"])
    return Step(label=transition["state_label"], at=at, at_label=japanese_time(at))


def from_message(message: Json) -> InboxEntry:
    """A message of the town."""
    application_id = message.get("application_id")
    return InboxEntry(
        kind="message",
        title=message["title"],
        text=message["body"],
        at=datetime.fromisoformat(message["created_at"]),
        application_id=UUID(application_id) if application_id else None,
    )


def from_application(application: MyApplication) -> InboxEntry:
    """Where an application stands, as an entry of the inbox."""
    return InboxEntry(
        kind="application",
        title=f"{application.title}：{application.label}",
        text=application.next_step,
        at=application.state_since,
        application_id=application.id,
    )


def newest_first(*kinds: Iterable[InboxEntry]) -> list[InboxEntry]:
    """All entries, the newest first."""
    return sorted((entry for kind in kinds for entry in kind), key=lambda entry: entry.at, reverse=True)


def japanese_time(moment: datetime) -> str:
    """令和8年11月24日 9時05分, in Japan."""
    local = moment.astimezone(JST)
    return f"{Wareki.of(local.date()).format()} {local.hour}時{local.minute:02}分"

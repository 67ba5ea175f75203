"""What a family reads: plain words, Japanese dates, the newest first."""

from datetime import UTC, datetime
from uuid import UUID

from town_gateway.apps.kosodate import service

ID = "0190f3a2-7c1e-7c3d-9a41-1f2e3d4c5b6a"
APPLICATION = {
    "id": ID,
    "reference": "A-7K2M-Q9TX-3",
    "procedure_code": "CH-01",
    "state": "accepted",
    "state_label": "受付済",
    "next_step": "担当課が審査します。",
    "expected_on": "2027-02-03",
    "state_since": "2027-01-04T09:30:00+00:00",
    "received_at": "2027-01-04T00:00:00+00:00",
}
MESSAGE = {"title": "お知らせ", "body": "本文", "created_at": "2027-01-05T00:00:00+00:00", "application_id": ID}


def test_an_application_says_where_it_stands_what_comes_next_and_when() -> None:
    names = service.titles([{"code": "CH-01", "title": {"ja": "児童手当 認定請求", "en": "Child allowance"}}])

    shown = service.my_application(APPLICATION, names)

    assert shown.title == "児童手当 認定請求"
    assert (shown.label, shown.next_step) == ("受付済", "担当課が審査します。")
    assert shown.expected_label == "令和9年2月3日ごろ"


def test_an_application_without_an_expected_date_promises_none() -> None:
    shown = service.my_application(APPLICATION | {"expected_on": None}, {})

    assert (shown.expected_on, shown.expected_label) == (None, None)
    assert shown.title == "CH-01"


def test_times_are_shown_in_japan() -> None:
    assert service.japanese_time(datetime(2026, 12, 31, 15, 5, tzinfo=UTC)) == "令和9年1月1日 0時05分"


def test_messages_and_applications_stand_in_one_inbox_the_newest_first() -> None:
    entry = service.from_application(service.my_application(APPLICATION, {}))

    inbox = service.newest_first([entry], [service.from_message(MESSAGE)])

    assert [one.kind for one in inbox] == ["message", "application"]
    assert {one.application_id for one in inbox} == {UUID(ID)}


def test_an_application_moves_up_when_something_happens_to_it() -> None:
    decided = APPLICATION | {"state_since": "2027-01-06T00:00:00+00:00"}

    inbox = service.newest_first(
        [service.from_message(MESSAGE)], [service.from_application(service.my_application(decided, {}))]
    )

    assert [one.kind for one in inbox] == ["application", "message"]

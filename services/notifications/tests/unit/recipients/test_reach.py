"""Quiet hours, addresses and codes."""

from datetime import datetime, time
from uuid import UUID

import pytest

from town_kit.ids import new_id
from town_notifications.recipients.domain import QuietHours, confirmation_code, normalized_address

NIGHT = QuietHours(time(22), time(7))
NOON = QuietHours(time(12), time(13))


@pytest.mark.parametrize(
    ("hours", "moment", "until"),
    [
        (NIGHT, "2027-01-12T21:59+09:00", None),
        (NIGHT, "2027-01-12T22:00+09:00", "2027-01-13T07:00+09:00"),
        (NIGHT, "2027-01-13T06:59+09:00", "2027-01-13T07:00+09:00"),
        (NIGHT, "2027-01-13T07:00+09:00", None),
        (NIGHT, "2027-01-12T15:00+00:00", "2027-01-13T07:00+09:00"),
        (NOON, "2027-01-12T12:30+09:00", "2027-01-12T13:00+09:00"),
        (NOON, "2027-01-12T13:00+09:00", None),
    ],
)
def test_quiet_hours_end_in_japan_and_may_pass_midnight(hours: QuietHours, moment: str, until: str | None) -> None:
    assert hours.until(datetime.fromisoformat(moment)) == (datetime.fromisoformat(until) if until else None)


@pytest.mark.parametrize(
    "address",
    ["a", "a@b", "a b@example.jp",
     "a@example.jp\r\nBcc: b@example.jp", "a@-example.jp", '"a"@example.jp', "a@@example.jp",
     "花子@example.jp", "a@[192.0.2.1]", f"{'a' * 65}@example.jp", ".a@example.jp", "a..b@example.jp"],
)  # fmt: skip
def test_what_is_no_plain_address_is_refused(address: str) -> None:
    assert normalized_address(address) is None


def test_the_domain_of_an_address_is_kept_in_small_letters() -> None:
    assert normalized_address("Hanako.N+town@Example.JP") == "Hanako.N+town@example.jp"


def test_a_code_belongs_to_one_address_one_issue_and_one_key() -> None:
    point = UUID("0198a000-0000-7000-8000-000000000001")
    code = confirmation_code(b"k" * 32, point, 1)
    assert len(code) == 6
    assert code.isdigit()
    assert code == confirmation_code(b"k" * 32, point, 1)
    others = [(b"k" * 32, point, 2), (b"x" * 32, point, 1), (b"k" * 32, new_id(), 1)]
    assert sum(confirmation_code(*other) == code for other in others) == 0

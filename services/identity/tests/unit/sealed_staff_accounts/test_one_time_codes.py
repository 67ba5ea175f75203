"""The second factor is that of RFC 6238, and waits double."""

from datetime import UTC, datetime, timedelta

import pytest

from town_identity.sealed_staff_accounts.credentials import code_of, new_envelope, step_of_code
from town_identity.sealed_staff_accounts.domain import wait_after

RFC_SECRET = b"12345678901234567890"


@pytest.mark.parametrize(
    ("second", "code"),
    [(59, "287082"), (1111111109, "081804"), (1234567890, "005924"), (2000000000, "279037"), (20000000000, "353130")],
)
def test_codes_are_those_of_appendix_b(second: int, code: str) -> None:
    at = datetime.fromtimestamp(second, UTC)
    assert code_of(RFC_SECRET, at) == code
    assert step_of_code(code, RFC_SECRET, at) == second // 30


@pytest.mark.parametrize(("off", "counts"), [(-60, False), (-30, True), (0, True), (30, True), (60, False)])
def test_a_code_counts_one_step_around_its_own(off: int, counts: bool) -> None:
    at = datetime(2027, 1, 4, tzinfo=UTC)
    code = code_of(RFC_SECRET, at + timedelta(seconds=off))
    assert (step_of_code(code, RFC_SECRET, at) is not None) is counts


def test_an_envelope_holds_what_nobody_guesses() -> None:
    made = [new_envelope() for _ in range(50)]
    assert len({one.username for one in made}) == len({one.password for one in made}) == 50
    assert all(len(one.password) == 29 and len(one.secret) == 20 for one in made)
    assert all(one.password not in repr(one) and "otpauth" not in repr(one) for one in made)
    assert made[0].otp_uri.startswith("otpauth://totp/")


def test_waits_double_and_end_in_a_lock() -> None:
    assert [wait_after(n) for n in (0, 2, 3, 4, 9)] == [timedelta(seconds=s) for s in (0, 0, 30, 60, 1920)]
    assert wait_after(10) is None

"""The bytes a card signs to log in are bound to the town, the app, the nonce and the moment."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from town_identity.login_challenges.domain import NONCE_BYTES, to_be_signed

MOMENT = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
NONCE = st.binary(min_size=NONCE_BYTES, max_size=NONCE_BYTES)
ORIGIN = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40)


def test_the_bytes_are_those_of_the_description() -> None:
    nonce = bytes(range(32))
    expected = b"town-login-v1\0https://app.example" + nonce + b"2026-11-24T03:00:00Z"
    assert to_be_signed("town-login-v1", "https://app.example", nonce, MOMENT) == expected


@given(first=st.tuples(ORIGIN, NONCE), second=st.tuples(ORIGIN, NONCE))
def test_no_two_challenges_share_their_bytes(first: tuple[str, bytes], second: tuple[str, bytes]) -> None:
    same = to_be_signed("d", *first, MOMENT) == to_be_signed("d", *second, MOMENT)
    assert same == (first == second)

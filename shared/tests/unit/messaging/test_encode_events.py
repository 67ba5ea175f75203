"""The envelope: what is written is read back, and what is not an event of ours is refused without echoing it."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from town_kit.messaging.event import Envelope, Undecodable, decode, encode_headers, key_of, source

SOURCE = source("174611", "procedures")
KEY = UUID("01900000-0000-7000-8000-000000000001")
GOOD = Envelope(KEY, "town.procedures.application.accepted.v1", KEY, 3, datetime(2027, 1, 4, 0, 30, tzinfo=UTC))

envelopes = st.builds(
    Envelope,
    id=st.uuids(),
    type=st.from_regex(r"town\.[a-z]+\.[a-z-]+\.[a-z_]+\.v1", fullmatch=True),
    key=st.uuids(),
    sequence=st.integers(1, 2**62),
    occurred_at=st.datetimes(timezones=st.just(UTC)),
    traceparent=st.none() | st.just("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    snapshot=st.booleans(),
)


@given(envelopes)
def test_an_envelope_is_read_back_as_it_was_written(envelope: Envelope) -> None:
    assert decode(str(envelope.key).encode(), encode_headers(envelope, SOURCE)) == envelope


def test_the_source_names_the_municipality_by_its_code() -> None:
    assert SOURCE == "urn:jp:municipality:174611:procedures"
    assert dict(encode_headers(GOOD, SOURCE))["ce_source"] == SOURCE.encode()


def test_a_moment_is_written_in_utc_by_rfc_3339() -> None:
    assert dict(encode_headers(GOOD, SOURCE))["ce_time"] == b"2027-01-04T00:30:00.000000Z"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ce_specversion", b"0.3"),
        ("ce_id", b"123456789018"),
        ("ce_type", b""),
        ("ce_type", b"\xff\xfe"),
        ("ce_time", b"yesterday"),
        ("ce_time", b"2027-01-04T09:30:00"),
        ("ce_sequence", b"0"),
        ("ce_sequence", b"-1"),
        ("ce_sequence", b"1e3"),
        ("ce_sequence", "３".encode()),
        ("ce_sequence", b"9" * 30),
    ],
)
def test_a_malformed_attribute_is_named_and_not_echoed(name: str, value: bytes) -> None:
    headers = [(n, value if n == name else v) for n, v in encode_headers(GOOD, SOURCE)]
    with pytest.raises(Undecodable) as refused:
        decode(str(KEY).encode(), headers)
    assert str(refused.value) == name


@pytest.mark.parametrize("name", ["ce_specversion", "ce_id", "ce_type", "ce_time", "ce_sequence"])
def test_an_absent_attribute_is_refused(name: str) -> None:
    with pytest.raises(Undecodable, match=name):
        decode(str(KEY).encode(), [(n, v) for n, v in encode_headers(GOOD, SOURCE) if n != name])


@pytest.mark.parametrize("key", [None, b"", b"\xff", b"application-1"])
def test_a_key_that_is_no_id_is_refused(key: bytes | None) -> None:
    with pytest.raises(Undecodable, match="key"):
        decode(key, encode_headers(GOOD, SOURCE))
    assert key_of(key) is None


@given(
    st.lists(st.tuples(st.text(max_size=12), st.binary(max_size=40)), max_size=8), st.none() | st.binary(max_size=40)
)
def test_a_message_of_anybody_else_is_refused(headers: list[tuple[str, bytes]], key: bytes | None) -> None:
    with pytest.raises(Undecodable):
        decode(key, headers)

"""Places in a line: one after another, and kept for who comes again."""

import os

import pytest

from town_kit.line import FORGOTTEN_SECONDS, LONGEST_SECONDS, Line, Places, caller_of


class Now:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def test_the_refused_are_told_to_come_one_after_another_as_fast_as_requests_are_finished() -> None:
    now = Now()
    line = Line(least=4, clock=now)
    assert [line.wait(who) for who in range(1, 9)] == pytest.approx([n / 4 for n in range(1, 9)])
    now.seconds += 2  # those who were told have come
    for _ in range(20):
        line.finished()
    assert [line.wait(who) for who in range(11, 31)] == pytest.approx([n / 10 for n in range(1, 21)])


def test_nobody_is_sent_away_for_longer_than_the_longest() -> None:
    line = Line(least=1, clock=Now())
    waits = [line.wait(who) for who in range(1, 101)]
    assert max(waits) == LONGEST_SECONDS


def test_who_comes_again_keeps_her_place_until_she_has_come() -> None:
    now = Now()
    line = Line(least=0.5, clock=now)
    for who in range(1, 4):
        line.wait(who)
    assert line.wait(3) == pytest.approx(3)  # too early: the same moment as before, and nobody behind her loses any
    assert line.wait(4) == pytest.approx(4)
    now.seconds += 3
    assert line.stands()
    assert line.wait(3) == 0
    assert line.wait(3) == 0  # no slot was free
    line.leave(3)
    assert line.wait(3) == pytest.approx(2)


def test_a_line_ends_when_the_last_one_told_should_have_come_and_forgets_her_in_the_end() -> None:
    now = Now()
    line = Line(least=1, clock=now)
    assert not line.stands()
    line.wait(7)
    assert line.stands()
    now.seconds += 1.5
    assert not line.stands()
    assert line.wait(7) == 0
    now.seconds += FORGOTTEN_SECONDS
    assert line.wait(7) == pytest.approx(1)


def test_of_two_callers_on_one_place_of_the_table_the_later_has_it() -> None:
    places = Places(size=8)
    places.keep(1, 5.0)
    places.keep(9, 6.0)
    assert (places.due(1), places.due(9)) == (None, 6.0)
    places.forget(1)
    assert places.due(9) == 6.0


def test_processes_that_are_forked_later_know_who_was_refused() -> None:
    places = Places()
    who = caller_of(request(b"POST", b"token", b"key"))
    child = os.fork()
    if not child:
        places.keep(caller_of(request(b"POST", b"token", b"key")), 5.0)
        os._exit(0)
    os.waitpid(child, 0)
    assert places.due(who) == 5.0


def test_a_request_is_known_again_by_path_token_and_key() -> None:
    same = [caller_of(request(b"POST", b"token", b"key")) for _ in range(2)]
    others = [
        caller_of(request(b"POST", b"token", b"another")),
        caller_of(request(b"POST", b"another", b"key")),
        caller_of(request(b"GET", b"token", b"key")),
    ]
    assert same[0] == same[1]
    assert len({same[0], *others}) == 4
    nobody = {"type": "http", "method": "GET", "path": "/", "headers": [], "client": ("192.0.2.1", 5)}
    assert caller_of(nobody) == caller_of({**nobody, "client": ("192.0.2.1", 6)})
    assert caller_of(nobody) != caller_of({**nobody, "client": ("192.0.2.2", 5)})
    behind_a_proxy = [{**nobody, "headers": [(b"x-forwarded-for", one)]} for one in (b"198.51.100.1", b"198.51.100.2")]
    assert len({caller_of(one) for one in behind_a_proxy}) == 2


def request(method: bytes, token: bytes, key: bytes) -> dict[str, object]:
    headers = [(b"host", b"town"), (b"authorization", token), (b"idempotency-key", key)]
    return {"type": "http", "method": method.decode(), "path": "/", "headers": headers}

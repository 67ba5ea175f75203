"""Ports are kept from run to run, and a port that somebody else has is left to them."""

import os
import socket
import stat
from pathlib import Path

from town_onebox.sockets import Ports, listen_at


def test_a_second_run_takes_the_port_of_the_first(tmp_path: Path) -> None:
    (first,) = Ports(tmp_path / "ports.json").listen("public", "127.0.0.1", 0)
    port = first.getsockname()[1]
    first.close()
    (second,) = Ports(tmp_path / "ports.json").listen("public", "127.0.0.1", 0)
    assert second.getsockname()[1] == port
    second.close()


def test_a_taken_port_is_avoided_even_when_its_owner_would_share_it(tmp_path: Path) -> None:
    with socket.socket() as theirs:
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        theirs.bind(("127.0.0.1", 0))
        theirs.listen()
        (ours,) = Ports(tmp_path / "ports.json").listen("public", "127.0.0.1", theirs.getsockname()[1])
        assert ours.getsockname()[1] != theirs.getsockname()[1]
        ours.close()


def test_each_child_gets_a_socket_of_its_own_on_one_port(tmp_path: Path) -> None:
    sockets = Ports(tmp_path / "ports.json").listen("public", "127.0.0.1", 0, children=3)
    assert len({one.getsockname() for one in sockets}) == 1
    assert len({one.fileno() for one in sockets}) == 3
    for one in sockets:
        one.close()


def test_the_internal_socket_is_closed_to_others(tmp_path: Path) -> None:
    path = tmp_path / "internal.sock"
    before = os.umask(0)
    try:
        listen_at(path, os.getegid()).close()
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o660

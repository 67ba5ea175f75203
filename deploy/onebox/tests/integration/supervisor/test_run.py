"""The supervisor keeps its processes running, and leaves none behind."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

PRELUDE = """
import os, signal, socket, sys, time
from pathlib import Path
from town_onebox.supervisor import Part, Supervisor
here = Path(sys.argv[1])
def note(name, what=None):
    with (here / name).open("a") as file: file.write(f"{what or os.getpid()}\\n")
"""


Start = Callable[[str], "subprocess.Popen[bytes]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a program with a supervisor; whatever becomes of the test, none is left behind."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(script: str) -> "subprocess.Popen[bytes]":
        program = tmp_path / "program.py"
        program.write_text(PRELUDE + textwrap.dedent(script))
        started.append(subprocess.Popen([sys.executable, str(program), str(tmp_path)]))
        return started[-1]

    yield begin
    for one in started:
        one.kill()
        one.wait()


def eventually(condition: Callable[[], bool], seconds: float = 60) -> None:
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up, "it did not happen"
        time.sleep(0.02)


def lines(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # before it is opened, or between that and the reading
        return False


SLEEPER = """
def body():
    note("pids")
    time.sleep(60)
sys.exit(Supervisor([Part("sleeper", body)], here).run())
"""


def test_a_killed_process_is_started_again(tmp_path: Path, start: Start) -> None:
    town = start(SLEEPER)
    eventually(lambda: len(lines(tmp_path / "pids")) == 1)
    os.kill(int(lines(tmp_path / "pids")[0]), signal.SIGKILL)
    eventually(lambda: len(lines(tmp_path / "pids")) == 2)
    town.terminate()
    assert town.wait(60) == 0
    assert not alive(int(lines(tmp_path / "pids")[1]))


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's death signal is Linux's")
def test_a_killed_supervisor_takes_its_processes_along(tmp_path: Path, start: Start) -> None:
    town = start(SLEEPER)
    eventually(lambda: len(lines(tmp_path / "pids")) == 1)
    town.kill()
    town.wait()
    eventually(lambda: not alive(int(lines(tmp_path / "pids")[0])))


def test_a_final_process_ends_the_town_with_its_code(tmp_path: Path, start: Start) -> None:
    town = start(
        """
        def other():
            note("other")
            time.sleep(60)
        def last():
            while not (here / "other").exists() or not (here / "other").read_text(): time.sleep(0.01)
            return 7
        sys.exit(Supervisor([Part("other", other), Part("last", last, final=True)], here).run())
        """,
    )
    assert town.wait(60) == 7
    assert not alive(int(lines(tmp_path / "other")[0]))


def test_a_program_that_ends_is_started_again_and_its_output_is_in_its_log(tmp_path: Path, start: Start) -> None:
    town = start(
        """
        echo = Part("echo", command=["/bin/sh", "-c", "echo hello $WHO"], environment={"WHO": "town"})
        sys.exit(Supervisor([echo], here).run())
        """,
    )
    eventually(
        lambda: (tmp_path / "echo.log").exists() and (tmp_path / "echo.log").read_text().count("hello town") >= 2
    )
    town.terminate()
    assert town.wait(60) == 0


def test_a_child_handles_signals_itself(tmp_path: Path, start: Start) -> None:
    town = start(
        """
        def body():
            note("handlers", f"{int(signal.getsignal(signal.SIGTERM))},{int(signal.getsignal(signal.SIGINT))}")
            time.sleep(60)
        sys.exit(Supervisor([Part("one", body)], here).run())
        """,
    )
    eventually(lambda: lines(tmp_path / "handlers") == [f"{int(signal.SIG_DFL)},{int(signal.SIG_DFL)}"])
    town.terminate()
    assert town.wait(60) == 0


def test_no_caller_is_refused_while_a_killed_process_is_replaced(tmp_path: Path, start: Start) -> None:
    town = start(
        """
        listening = socket.create_server(("127.0.0.1", 0))
        def body():
            note("pids")
            while True:
                caller, _ = listening.accept()
                caller.sendall(b"here")
                caller.close()
        note("port", listening.getsockname()[1])
        sys.exit(Supervisor([Part("server", body)], here).run())
        """,
    )
    eventually(lambda: len(lines(tmp_path / "pids")) == 1)
    port = int(lines(tmp_path / "port")[0])
    for kills in range(1, 4):
        serving = int(lines(tmp_path / "pids")[-1])
        os.kill(serving, signal.SIGKILL)
        eventually(lambda pid=serving: not alive(pid))
        with socket.create_connection(("127.0.0.1", port), timeout=30) as caller:
            assert caller.recv(4) == b"here"
        assert len(lines(tmp_path / "pids")) == kills + 1
    town.terminate()
    assert town.wait(60) == 0

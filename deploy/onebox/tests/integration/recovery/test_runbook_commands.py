"""The commands of the runbooks, as written: each is one that exists, and the restore's are run in production."""

import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
import pytest
import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from town_kit.db import server
from town_onebox import cli, testing, town
from town_onebox.registry import ENTRIES

pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("recovery")]
ROOT = Path(__file__).parents[5]
RUNBOOKS = sorted((ROOT / "deploy/runbooks").glob("*.md"))
PROGRAM = ".venv/bin/python -m town_onebox"
FILLED = {
    "<配信の番号>": "019b0f5c-0000-7000-8000-000000000000",
    "<番号>": "1",
    "番号:HEX": "1:9f86d081",
    "<ユーザー名>": "sealed-1",
    "<氏名>": "管理 次郎",
    "<理由>": "誤送",
    "<結果>": "問題なし",
    "<利用システム>": "client",
    "<鍵のフォルダ>": "keys",
}
PLACES = ("/srv", "/backup", "/safe", "/standby")
READY_SECONDS = 90


def written(start: str) -> list[str]:
    """The commands in the runbooks that begin with ``start``, its own beginning cut off."""
    spans = [span for path in RUNBOOKS for span in re.findall(r"`([^`]+)`", path.read_text(encoding="utf-8"))]
    return [span.removeprefix(start).strip() for span in spans if span.startswith(start) and span != start]


def words(command: str) -> list[str]:
    """The words of a command; what an operator fills in is filled."""
    for wanted, value in FILLED.items():
        command = command.replace(wanted, f"'{value}'" if " " in value else value)
    assert "<" not in command, f"nobody knows what to fill in: {command}"
    return shlex.split(command)


def parse(command: Any, arguments: list[str]) -> None:
    """Read the arguments as the command line does, subcommands and all; what it refuses is a ``TyperException``."""
    context = command.make_context("town", list(arguments))
    while isinstance(command, TyperGroup):
        name, command, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        context = command.make_context(name, rest, parent=context)


def services() -> dict[str, Any]:
    found = {}
    for entry in ENTRIES:
        module, _, attribute = entry.command.partition(":")
        found[entry.name] = typer.main.get_command(getattr(import_module(module), attribute))
    return found


@pytest.mark.parametrize("command", [*written("<O> "), *written(PROGRAM)])
def test_a_command_of_one_box_is_one_that_exists(command: str) -> None:
    parse(typer.main.get_command(cli.app), words(command.replace("…", "")))


@pytest.mark.parametrize("command", written("<S> "))
def test_a_command_of_a_service_is_one_that_exists(command: str) -> None:
    refused = []
    for name, found in services().items():
        try:
            parse(found, words(command))
            return
        except typer.Exit:  # --help
            return
        except TyperException as error:
            refused.append(f"{name}: {error}")
    pytest.fail("\n".join(refused))


def test_a_make_command_is_one_of_the_makefile() -> None:
    known = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    asked = {command.split()[0] for command in written("make ")}
    assert asked
    assert asked <= known


class Operator:
    """Whoever runs the town by the runbook: its literal commands, with its folders under ``root``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.log = root / "told"
        self.started: list[subprocess.Popen[bytes]] = []

    def literal(self, verb: str, about: str = "") -> list[str]:
        """The one command of that name (and place) which the restore's runbook gives."""
        text = (ROOT / "deploy/runbooks/restore.md").read_text(encoding="utf-8")
        (command,) = {found for found in re.findall(rf"`<O> ({verb} --[^`]+)`", text) if about in found}
        for place in PLACES:
            command = re.sub(rf"(?<= ){place}/", f"{self.root}{place}/", command)
        return [sys.executable, "-m", "town_onebox", *shlex.split(command)]

    def press(self, verb: str, *more: str) -> subprocess.CompletedProcess[str]:
        """Run it to its end."""
        return subprocess.run(
            [*self.literal(verb), *more], capture_output=True, text=True, timeout=120, check=False, cwd=ROOT
        )

    def start(self, verb: str, about: str = "") -> "subprocess.Popen[bytes]":
        """Run it until it is stopped."""
        with self.log.open("wb") as output:
            self.started.append(subprocess.Popen(self.literal(verb, about), stdout=output, stderr=output, cwd=ROOT))
        return self.started[-1]

    def told(self) -> str:
        return self.log.read_text("utf-8")


@pytest.fixture
def operator() -> Iterator[Operator]:
    with testing.directory() as directory:
        one = Operator(directory.parent)
        for place in PLACES:
            (one.root / place.strip("/")).mkdir(mode=0o755)
        yield one
        for process in one.started:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.wait(60)
        for place in (one.root / "srv/town", one.root / "srv/new", one.root / "standby/town"):
            town.reset(place)


def answers(directory: Path, process: "subprocess.Popen[bytes]", operator: Operator) -> None:
    """Wait until the town in ``directory`` answers on its public door."""
    give_up = time.monotonic() + READY_SECONDS
    while time.monotonic() < give_up:
        assert process.poll() is None, operator.told()
        try:
            port = json.loads((directory / "ports.json").read_text())["public"]
            if httpx.get(f"http://{server.HOST}:{port}/readyz", timeout=2, trust_env=False).is_success:
                return
        except (OSError, KeyError, ValueError, httpx.HTTPError):
            pass
        time.sleep(0.2)
    pytest.fail(operator.told() + testing.logs(directory))


def stop(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0


def configure(place: Path, **gateway: Any) -> None:
    """All that production asks an operator of this zone: where the heads of the audit chain are kept outside."""
    place.mkdir(exist_ok=True)
    anchored: dict[str, dict[str, Any]] = {entry.name: {"audit_anchor": "https://anchor.invalid"} for entry in ENTRIES}
    anchored["gateway"] |= gateway
    (place / "town.yaml").write_text(json.dumps(anchored))


def test_in_production_the_written_commands_promote_and_restore_one_zone(operator: Operator) -> None:
    """First start, standby, backup, the machine lost, promotion; then the same out of the backup."""
    here, standby_place, restored = (operator.root / at for at in ("srv/town", "standby/town", "srv/new"))
    configure(here)
    serving = operator.start("serve", "/srv/town")
    answers(here, serving, operator)
    assert operator.press("backup").returncode == 0
    following = operator.start("standby")
    testing.until(lambda: "追いかけています" in operator.told(), within=60)
    still = operator.press("promote")
    assert (still.returncode, "本番がまだ答えています" in still.stderr) == (1, True)
    stop(serving)
    shutil.rmtree(here / "postgres")

    configure(standby_place, rate_limits="none")
    refused = operator.press("promote")
    assert refused.returncode == 1
    assert "gateway の設定を town.yaml で直してください" in refused.stderr
    assert (standby_place / "standby.pid").exists(), "what cannot serve is not promoted"
    assert following.poll() is None
    configure(standby_place)

    promoted = operator.start("promote")
    answers(standby_place, promoted, operator)
    assert json.loads((standby_place / "served.json").read_text()) == {
        "environment": "production",
        "host": server.HOST,
        "sandbox": False,
        "web_processes": 2,
        "zones": ["INTERNET"],
    }
    stop(promoted)

    done = operator.press("restore")
    assert done.returncode == 0, done.stderr
    configure(restored)
    (operator.root / "srv/lists").mkdir()
    (operator.root / "srv/logs").mkdir()
    done = operator.press("reconcile", "--without-lists")
    assert done.returncode == 0, done.stderr
    answers(restored, operator.start("serve", "/srv/new"), operator)

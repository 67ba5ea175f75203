"""The commands an operator has: envelopes are printed once, uses are looked at."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from town_identity.main import create_service
from town_identity.sealed_staff_accounts.commands import sealed_accounts
from town_identity.settings import IdentitySettings

Command = Callable[..., Result]


@pytest.fixture
def command(make_settings: Callable[..., IdentitySettings]) -> Command:
    """``town-identity sealed-accounts …`` with the settings of a test."""
    settings = make_settings()
    app = sealed_accounts(lambda: create_service(settings))
    return lambda *arguments: CliRunner().invoke(app, arguments)


def test_envelopes_are_printed_once_and_sealed_again(command: Command) -> None:
    made = command("create", "--label", "金庫 1", "--group", "clerk", "--group", "approver", "--by", "管理 次郎")
    assert made.exit_code == 0, made.stderr
    printed: dict[str, Any] = dict(re.findall(r"(ユーザー名|パスワード|認証アプリに登録): (\S+)", made.stdout))
    assert printed["認証アプリに登録"].startswith("otpauth://totp/")
    listed = command("list").stdout
    assert f"{printed['ユーザー名']}  金庫 1  approver,clerk  封印" in listed
    assert printed["パスワード"] not in listed
    again = command("reseal", printed["ユーザー名"], "--by", "管理 次郎")
    assert printed["ユーザー名"] in again.stdout
    assert printed["パスワード"] not in again.stdout
    assert command("withdraw", printed["ユーザー名"]).exit_code == 0
    assert "廃止" in command("list").stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("create", "--label", "x", "--group", "mayor", "--by", "y"),
        ("reseal", "NOBODY", "--by", "y"),
        ("open", "NOBODY", "--by", "y"),
        ("unlock", "NOBODY"),
        ("withdraw", "NOBODY"),
        ("review", "00000000-0000-0000-0000-000000000000", "--by", "y", "--note", "z"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_what_is_not_possible_is_told_in_japanese(command: Command, arguments: tuple[str, ...]) -> None:
    refused = command(*arguments)
    assert refused.exit_code == 1
    assert re.search("[ぁ-ん]", refused.stderr)
    assert "Traceback" not in refused.stderr

"""``sealed-accounts``: the commands with which 封印アカウント are made, opened, looked after and sealed again."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Annotated, TypeVar
from uuid import UUID

import typer

from town_identity.ports import Ports
from town_identity.sealed_staff_accounts import envelopes, repository
from town_identity.sealed_staff_accounts.credentials import Envelope
from town_identity.sealed_staff_accounts.domain import Purpose
from town_kit.clock import JST
from town_kit.service import Service

T = TypeVar("T")
By = Annotated[str, typer.Option(help="行った人")]
CUT = "- - - - - - - - - - ✂ - - - - - - - - - -"


def sealed_accounts(create: Callable[[], Service]) -> typer.Typer:
    """The commands of the service that ``create`` makes."""
    app = typer.Typer(no_args_is_help=True, help="封印アカウント（職員認証システムが止まったときの職員ログイン）")

    @app.command("create")
    def create_command(
        label: Annotated[str, typer.Option(help="封筒の置き場所など")],
        group: Annotated[list[str], typer.Option(help="権限のグループ。何度でも書けます")],
        by: By,
    ) -> None:
        """封印アカウントを作り、二つの封筒の内容を一度だけ印刷する。"""
        _print(_run(create, lambda ports: envelopes.seal(ports, label, group, by)))

    @app.command("list")
    def list_command() -> None:
        """封印アカウントと、確認を待つ開封の記録を示す。"""
        for line in _run(create, _lines):
            typer.echo(line)

    @app.command("reseal")
    def reseal_command(username: str, by: By) -> None:
        """新しいパスワードと番号の鍵を作り、封印し直す。前の封筒は使えなくなる。"""
        _print(_run(create, lambda ports: envelopes.seal_again(ports, username, by)))

    @app.command("open")
    def open_command(
        username: str, by: By, minutes: Annotated[int, typer.Option(help="開けておく時間（分）。240 まで")] = 30
    ) -> None:
        """職員認証システムが動いていても、しばらくの間使えるようにする。封筒を使う人とは別の人が行う。"""
        _run(create, lambda ports: envelopes.open_for(ports, username, timedelta(minutes=minutes), by))
        typer.echo(f"{minutes} 分の間、使えます。")

    @app.command("unlock")
    def unlock_command(username: str) -> None:
        """失敗が続いて施錠されたアカウントを解錠する。"""
        _run(create, lambda ports: envelopes.unlock(ports, username))
        typer.echo("解錠しました。")

    @app.command("withdraw")
    def withdraw_command(username: str) -> None:
        """アカウントを廃止する。"""
        _run(create, lambda ports: envelopes.withdraw(ports, username))
        typer.echo("廃止しました。")

    @app.command("review")
    def review_command(use: UUID, by: By, note: Annotated[str, typer.Option(help="確認の結果")]) -> None:
        """開封の記録を確認済みにする。封筒を使った人とは別の人が行う。"""
        _run(create, lambda ports: envelopes.review(ports, use, by, note))
        typer.echo("確認済みにしました。")

    return app


def _run(create: Callable[[], Service], what: Callable[[Ports], Awaitable[T]]) -> T:
    async def inside() -> T:
        service = create()
        async with service.database.running():
            return await what(service.extras["ports"])

    try:
        return asyncio.run(inside())
    except envelopes.CannotSeal as error:
        typer.secho(str(error), fg="red", err=True)
        raise typer.Exit(1) from None


def _print(envelope: Envelope) -> None:
    typer.echo(
        f"{CUT}\n封筒 1\nユーザー名: {envelope.username}\nパスワード: {envelope.password}\n"
        f"{CUT}\n封筒 2（封筒 1 とは別の場所に）\n認証アプリに登録: {envelope.otp_uri}\n{CUT}\n"
        "この内容はもう表示できません。印刷して封をし、画面を消してください。"
    )


async def _lines(ports: Ports) -> list[str]:
    async with ports.database.begin() as session:
        accounts = await repository.accounts(session)
        waiting = await repository.uses(session, unreviewed=True)
    return [
        *(
            f"{one.username}  {one.label}  {','.join(one.groups)}  {_state(one.broken_at, one.withdrawn_at)}"
            for one in accounts
        ),
        *(f"確認待ち {use.id}  {_time(use.intended_at)}  {Purpose(use.purpose).text}  {use.reason}" for use in waiting),
    ]


def _state(broken_at: datetime | None, withdrawn_at: datetime | None) -> str:
    if withdrawn_at is not None:
        return f"廃止 {_time(withdrawn_at)}"
    return f"開封済み {_time(broken_at)}" if broken_at is not None else "封印"


def _time(at: datetime) -> str:
    return f"{at.astimezone(JST):%Y-%m-%d %H:%M}"

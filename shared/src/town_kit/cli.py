"""The commands every service has: serve, work, migrate, look after its events, check its audit trail and settings."""

import asyncio
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import typer
import uvicorn
from pydantic import SecretStr, ValidationError
from rich.console import Console
from sqlalchemy.exc import OperationalError
from starlette.applications import Starlette

from town_kit import logging, loop, readiness, telemetry
from town_kit.admission import Admission
from town_kit.app import create_app
from town_kit.asgi import App
from town_kit.audit.verify import Head, verify
from town_kit.clock import JST
from town_kit.db import migrations
from town_kit.db.engine import assert_durable
from town_kit.health import health_routes
from town_kit.messaging import dead_letters
from town_kit.messaging.connecting import connect
from town_kit.messaging.consumer import Processing, driver_of
from town_kit.messaging.relay import replay
from town_kit.service import Service
from town_kit.worker import work

T = TypeVar("T")
GRACE_SECONDS = 10
_TAMPERED = {
    "gap": "番号が飛んでいます",
    "record-missing": "記録が消されています",
    "record-changed": "記録の内容が変えられています",
    "link-changed": "鎖のつなぎ目が変えられています",
    "truncated": "ここから後ろが切り取られています",
    "anchor-differs": "外の控えと違います",
}
SOCKET_MODE = 0o660
_out = Console()
_err = Console(stderr=True)


def admitted(service: Service) -> App:
    """The application of a service behind its admission."""
    return Admission(create_app(service))


def service_cli(create: Callable[[], Service], *, application: Callable[[Service], App] = admitted) -> typer.Typer:
    """The commands of the service that ``create`` makes from its settings (environment variables).

    Args:
        create: makes the service.
        application: makes what answers requests from it.
    """
    app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
    letters = typer.Typer(no_args_is_help=True, help="処理できなかったイベント")
    trail = typer.Typer(no_args_is_help=True, help="監査記録")
    app.add_typer(letters, name="dead-letters")
    app.add_typer(trail, name="audit")

    @app.command("serve")
    def serve_command(
        host: Annotated[str, typer.Option(help="待ち受けるアドレス")] = "127.0.0.1",
        port: Annotated[int, typer.Option(help="待ち受けるポート。0 なら空きを選んで示す")] = 0,
        unix: Annotated[Path | None, typer.Option(help="代わりにソケットファイル(0660)で待ち受ける")] = None,
        fd: Annotated[int | None, typer.Option(help="代わりに、開いてあるこのソケットで待ち受ける")] = None,
    ) -> None:
        """SIGTERM まで要求に答える。"""
        service = made(create)
        telemetry.configure(service.name, endpoint=service.settings.otlp_endpoint)
        listening = _listen(host, port, unix) if fd is None else socket.socket(fileno=fd)
        _out.print(f"{service.name} の待ち受け: {unix or _address(listening)}", highlight=False)
        loop.run(_serve(service, application(service), listening))

    @app.command("work")
    def work_command(
        host: Annotated[str, typer.Option(help="/livez と /readyz に答えるアドレス")] = "127.0.0.1",
        health_port: Annotated[int | None, typer.Option(help="/livez と /readyz のポート。なければ答えない")] = None,
    ) -> None:
        """イベントの送受信と定期の仕事を、SIGTERM まで行う。"""
        service = made(create)
        telemetry.configure(service.name, endpoint=service.settings.otlp_endpoint)
        listening = _listen(host, health_port, None) if health_port is not None else None
        if listening is not None:
            _out.print(f"{service.name} の状態: {_address(listening)}", highlight=False)
        with suppress(KeyboardInterrupt, asyncio.CancelledError):
            loop.run(_work(service, listening))

    @app.command("migrate")
    def migrate_command(
        revision: Annotated[str, typer.Argument(help="スキーマの版")] = "head",
    ) -> None:
        """データベースのスキーマを、所有者の接続で、その版にする。"""
        service = made(create)
        if service.settings.owner_url is None:
            _fail("…_OWNER_URL がありません。migrate はデータベースの所有者の接続で行います。")
        migrations.upgrade(service.settings.owner_url.get_secret_value(), service.migrations, revision)
        _out.print(
            f"{service.name}: スキーマは {migrations.head(service.migrations) if revision == 'head' else revision} です"
        )

    @app.command("replay")
    def replay_command(
        since: Annotated[datetime | None, typer.Option(help="この時刻(日本時間)よりあとに送ったものだけ")] = None,
        topic: Annotated[list[str] | None, typer.Option(help="このトピックだけ。何度でも書けます")] = None,
    ) -> None:
        """送ったイベントをもう一度送る。受け手は、済んだものを捨てる。"""
        service = made(create)
        moment = since.replace(tzinfo=JST) if since and since.tzinfo is None else since
        count = _run(service, lambda: _replay(service, moment, topic or None))
        _out.print(f"{count} 件のイベントを送り直します")

    @app.command("republish")
    def republish_command() -> None:
        """今の状態をすべて発行する。後から加わった受け手のため。"""
        service = made(create)
        if service.republish is None:
            _fail(f"{service.name} には発行する状態がありません。")
        _out.print(f"{finished(service, _republish(service))} 件の状態を発行しました")

    @letters.command("list")
    def list_command(consumer: Annotated[str | None, typer.Option(help="この受け手の分だけ")] = None) -> None:
        """判断を待つイベントを、古い順に示す。"""
        service = made(create)
        for one in _run(service, lambda: dead_letters.list_open(service.database, consumer)):
            place = f"{one.topic} {one.key or 'キーなし'} {one.sequence or ''}"
            line = f"{one.id}  {one.consumer}  {place}  {one.failed_at.astimezone(JST):%F %T}  {one.bytes} バイト"
            _out.print(f"{line}  {one.reason}", highlight=False, soft_wrap=True)

    @letters.command("retry")
    def retry_command(letter: int) -> None:
        """このイベントをもう一度処理し、続いて後ろで待つものを処理する。"""
        service = made(create)
        _settle(service, letter, dead_letters.retry)
        _out.print("処理しました")

    @letters.command("discard")
    def discard_command(
        letter: int, reason: Annotated[str, typer.Option(prompt="理由", help="理由。記録に残ります")]
    ) -> None:
        """このイベントをあきらめる。後ろで待つものは進む。"""
        service = made(create)
        _settle(service, letter, lambda processing, number: dead_letters.discard(processing, number, reason))
        _out.print("あきらめました。理由を記録しました")

    @trail.command("verify")
    def verify_command(
        anchor: Annotated[list[str] | None, typer.Option(help="外に控えた先頭(番号:HEX)")] = None,
    ) -> None:
        """監査記録の鎖を確かめ、変えられた・消された・入れ替えられた・切り取られた最初の記録を示す。"""
        service = made(create)
        verdict = finished(service, _verify(service, [_head(one) for one in anchor or ()]))
        _out.print(f"{verdict.checked} 件の記録に異常はありません。先頭 {verdict.head.seq}:{verdict.head.hash.hex()}")
        if verdict.first_bad is not None:
            how = f"{_TAMPERED.get(verdict.reason or '', '')}({verdict.reason})"
            _fail(f"{verdict.first_bad} 番の記録が壊れています: {how}", code=1)
        if verdict.unchained:
            _fail(f"{verdict.unchained} 件の記録が鎖にありません。worker を確かめてください。", code=1)

    @app.command("check-config")
    def check_config_command() -> None:
        """設定を読み、サービスを作り、結果を示す。秘密は表示しない。"""
        service = made(create)
        try:
            for zone in service.settings.log_urls:
                connect(service.settings, zone)
        except RuntimeError as error:
            _fail(str(error))
        for name, value in service.settings:
            _out.print(f"{name} = {_shown(value)}", highlight=False, soft_wrap=True)

    return app


def made(create: Callable[[], Service]) -> Service:
    """The service a command works with; what is wrong with its settings is told, and the command ends with 2."""
    try:
        service = create()
    except ValidationError as error:
        for problem in error.errors(include_input=False, include_url=False):
            _err.print(f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}", highlight=False)
        raise typer.Exit(2) from None
    except (ValueError, RuntimeError, OSError) as error:
        _fail(str(error))
    settings = service.settings
    production = settings.environment == "production"
    logging.configure(service.name, settings.log_level, zone=service.zone.value, production=production)
    return service


def finished(service: Service, work: Coroutine[Any, Any, T]) -> T:
    """What a command's work answers; a database that does not answer is told, and the command ends with 1."""
    try:
        return asyncio.run(work)
    except (ConnectionError, TimeoutError, OperationalError):
        _fail(f"{service.name}: データベースが応答しません。起動しているか確認してください。", code=1)


def _fail(message: str, code: int = 2) -> NoReturn:
    _err.print(message, style="red", highlight=False)
    raise typer.Exit(code)


def _shown(value: object) -> str:
    if isinstance(value, SecretStr):
        return "(設定済み)"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_shown(inner)}" for key, inner in value.items()) + "}"
    return str(value)


def _listen(host: str, port: int, unix: Path | None) -> socket.socket:
    """A bound socket; a socket file is opened to its group only (the server's own way opens it to everybody)."""
    if unix is None:
        listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        return listening
    unix.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX)
    before = os.umask(0o777 & ~SOCKET_MODE)
    try:
        listening.bind(str(unix))
    finally:
        os.umask(before)
    return listening


def _address(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def _serve(service: Service, application: App, listening: socket.socket) -> None:
    await _check_durable(service)
    configuration = uvicorn.Config(
        application,
        log_config=None,
        access_log=False,
        ws="none",
        lifespan="on",
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    try:
        await uvicorn.Server(configuration).serve(sockets=[listening])
    finally:
        telemetry.shutdown()


async def _work(service: Service, listening: socket.socket | None = None) -> None:
    await _check_durable(service)
    working = asyncio.create_task(work(service))
    for kind in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(kind, working.cancel)
    telling = asyncio.create_task(_tell_health(service, listening)) if listening is not None else None
    try:
        await working
    finally:
        if telling is not None:
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)
        telemetry.shutdown()


class _Beside(uvicorn.Server):
    """A server that leaves the signals to the work it stands beside."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield


async def _tell_health(service: Service, listening: socket.socket) -> None:
    """Answer ``/livez`` and ``/readyz`` on the loop of the work: a loop that hangs does not answer."""
    application = Starlette(routes=health_routes(readiness.checks(service), told={"audit_anchor", *service.alarms}))
    configuration = uvicorn.Config(
        application, log_config=None, access_log=False, ws="none", lifespan="off", server_header=False
    )
    await _Beside(configuration).serve(sockets=[listening])


async def _check_durable(service: Service) -> None:
    if service.settings.environment == "production":
        await assert_durable(service.database)


def _run(service: Service, what: Callable[[], Awaitable[T]]) -> T:
    """Do something while the service's database is open."""

    async def inside() -> T:
        async with service.database.running():
            return await what()

    return finished(service, inside())


def _settle(service: Service, letter: int, how: Callable[[Processing, int], Awaitable[None]]) -> None:
    async def settle() -> None:
        consumers = {one.name: one for one in service.consumers}
        found = [one for one in await dead_letters.list_open(service.database) if one.id == letter]
        if not found or found[0].consumer not in consumers:
            raise dead_letters.NoSuchLetter(f"{letter} 番はありません。dead-letters list で確かめてください。")
        await how(Processing(service.database, consumers[found[0].consumer]), letter)

    try:
        _run(service, settle)
    except (dead_letters.NoSuchLetter, dead_letters.StillDead) as error:
        _fail(str(error), code=1)


async def _replay(service: Service, since: datetime | None, topics: list[str] | None) -> int:
    async with service.database.begin() as session:
        return await replay(await driver_of(session), since=since, topics=topics)


async def _republish(service: Service) -> int:
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(service.database.running())
        for resource in service.resources:
            await stack.enter_async_context(resource())
        assert service.republish is not None
        return await service.republish()


async def _verify(service: Service, anchors: list[Head]) -> Any:
    async with service.database.running() as database:
        return await verify(database, anchors)


def _head(text: str) -> Head:
    seq, _, digest = text.partition(":")
    try:
        return Head(int(seq), bytes.fromhex(digest))
    except ValueError:
        _fail("控えは 番号:HEX で示します(例 120:9f86d0…)。")

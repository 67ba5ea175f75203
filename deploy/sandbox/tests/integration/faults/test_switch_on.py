"""Every fault of every counterpart: what the caller sees, and whether the work was done, told by the ledger."""

import base64
import hashlib
import json
import smtplib
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey
from standardwebhooks import Webhook

from town_kit.clock import SystemClock
from town_kit.ids import new_id
from town_sandbox.faults import COMMON
from town_sandbox.fcm.server import GRANT, SCOPE
from town_sandbox.jws import base64url
from town_sandbox.main import NAMES

REDIRECT = "http://127.0.0.1/callback"
SECRET = "whsec_" + base64.b64encode(b"a secret of thirty-two bytes ok!").decode()
BUSINESS = "027"
SECONDS = 0.4


@pytest.fixture(scope="module")
def switched(tmp_path_factory: pytest.TempPathFactory, start_sandbox: Any) -> Any:
    """A sandbox of these tests' own: what is switched on here meets no other test."""
    folder: Path = tmp_path_factory.mktemp("sandbox")
    (folder / "drop").mkdir()
    core_system = {"scope": "x", "drop_folder": str(folder / "drop")}
    config = {"oidc_redirect_uris": [REDIRECT], "core_systems": {BUSINESS: core_system}, "poll_seconds": 0.05}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "partner.json").write_text(json.dumps({"callback_id": "x", "secrets": [SECRET]}))
    return start_sandbox(folder)


@dataclass(frozen=True)
class Server:
    """A counterpart of the town.

    Attributes:
        ask: makes one call and answers its status.
        entry: what that call leaves in the ledger when the work was done.
        path: what is asked; the fault is for it alone.
        own: fault that it alone has → the status of the answer.
    """

    ask: Callable[[Any, httpx.Client], int]
    entry: str
    path: str
    own: dict[str, int] = field(default_factory=dict)


def log_in(sandbox: Any, client: httpx.Client) -> int:
    portal = sandbox.credentials.portal
    body = {"riyoshaId": portal.login_id, "password": portal.password}
    return client.post("/api/ninsho/login", json=body).status_code


def push(sandbox: Any, client: httpx.Client) -> int:
    account, now = sandbox.credentials.fcm_service_account, int(time.time())
    claims = {"iss": account["client_email"], "scope": SCOPE, "iat": now, "exp": now + 60}
    signed = jwt.encode({"alg": "RS256"}, claims, RSAKey.import_key(account["private_key"]), ["RS256"])
    token = client.post("/token", data={"grant_type": GRANT, "assertion": signed}).json()["access_token"]
    message = {"message": {"token": f"device-{new_id()}"}}
    path, headers = "/v1/projects/anamizu-sandbox/messages:send", {"Authorization": f"Bearer {token}"}
    return client.post(path, json=message, headers=headers).status_code


def authorize(sandbox: Any, client: httpx.Client) -> int:
    asked = {
        "response_type": "code",
        "client_id": sandbox.credentials.oidc.client_id,
        "redirect_uri": REDIRECT,
        "scope": "openid",
        "code_challenge": base64url(hashlib.sha256(b"v" * 43).digest()),
        "code_challenge_method": "S256",
        "login_hint": "clerk",
    }
    return client.get("/authorize", params=asked).status_code


def anchor(_: Any, client: httpx.Client) -> int:
    return client.post("/heads", json={"service": "procedures"}).status_code


def tell(_: Any, client: httpx.Client) -> int:
    body, now, message_id = json.dumps({"type": "t", "timestamp": "t", "data": {}}), SystemClock().now(), str(new_id())
    headers = {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(SECRET).sign(message_id, now, body),
    }
    return client.post("/town", content=body, headers=headers).status_code


def drop_and_poll(sandbox: Any, client: httpx.Client) -> int:
    drop(sandbox)
    return client.post("/poll").status_code


def drop(sandbox: Any) -> None:
    name = f"{new_id()}.csv"
    (sandbox.directory / "drop" / name).write_text("a,b\n")
    (sandbox.directory / "drop" / f"{name}.done").touch()


SERVERS = {
    "mynaportal": Server(log_in, "login", "/login"),
    "fcm": Server(
        push, "message", ":send", {"unregistered": 404, "quota": 429, "unavailable_fcm": 503, "internal": 500}
    ),
    "oidc": Server(authorize, "authorized", "/authorize"),
    "audit_anchor": Server(anchor, "head", "/heads"),
    "partner": Server(tell, "told", "/town", {"gone": 410, "error": 500, "redirect": 302}),
    "core_system": Server(drop_and_poll, "csv_file", "/poll"),
}
EVERY = [(name, kind) for name, server in SERVERS.items() for kind in (*sorted(COMMON), *server.own)]
IN_THE_BACKGROUND = {"core_system": {"pause"}}
BY_MAIL = {"temporary": 451, "unavailable": 451, "permanent": 550, "busy": 421}


@pytest.fixture
def calm(switched: Any) -> Iterator[Any]:
    """The sandbox without a fault, before and after."""
    yield switched
    for name in set(NAMES) - {"smtp"}:
        with switched.client(name) as client:
            client.delete("/_faults").raise_for_status()


def switch_on(sandbox: Any, name: str, **fault: Any) -> None:
    with sandbox.client(name) as client:
        assert client.post("/_faults", json=fault).status_code == 201


def test_every_fault_that_can_be_switched_on_is_tried_here(calm: Any) -> None:
    tried = {name: COMMON | set(server.own) | IN_THE_BACKGROUND.get(name, set()) for name, server in SERVERS.items()}
    tried["smtp_control"] = COMMON | set(BY_MAIL)
    known = {}
    for name in tried:
        with calm.client(name) as client:
            known[name] = set(client.get("/_faults").json()["kinds"])
    assert known == tried
    assert {*known, "smtp"} == set(NAMES)


@pytest.mark.parametrize(("name", "kind"), EVERY)
def test_a_fault_strikes_once_and_the_ledger_tells_whether_the_work_was_done(calm: Any, name: str, kind: str) -> None:
    server = SERVERS[name]
    if name == "core_system":  # its poller finds the file too, and here the call is what is tried
        switch_on(calm, name, kind="pause", count=1_000_000)
    before = len(calm.received(name, kind=server.entry))
    switch_on(calm, name, kind=kind, path=server.path, seconds=SECONDS)
    cut = kind in {"refuse", "timeout", "drop_reply"}
    with calm.client(name) as client:
        began = time.monotonic()
        with pytest.raises(httpx.TransportError) if cut else nullcontext():
            status = server.ask(calm, client)
        took = time.monotonic() - began
        if not cut:
            assert status == {"unavailable": 503, **server.own}.get(kind, status)
            assert (status < 400) == (kind in {"slow", "redirect"})
        assert took >= (SECONDS if kind in {"timeout", "slow"} else 0)
        done = len(calm.received(name, kind=server.entry)) - before
        assert done == (1 if kind in {"slow", "drop_reply"} else 0)
        assert server.ask(calm, client) < 400
    late = 1 if name == "core_system" and not done else 0  # the file that was not taken is still there
    assert len(calm.received(name, kind=server.entry)) - before == done + 1 + late


def test_paused_core_systems_take_nothing_until_they_go_on(calm: Any) -> None:
    switch_on(calm, "core_system", kind="pause", count=1_000_000)
    before = len(calm.received("core_system", kind="csv_file"))
    drop(calm)
    time.sleep(SECONDS)
    assert len(calm.received("core_system", kind="csv_file")) == before
    with calm.client("core_system") as client:
        client.delete("/_faults")
    give_up = time.monotonic() + 10
    while len(calm.received("core_system", kind="csv_file")) == before:
        assert time.monotonic() < give_up, "the core system did not go on"
        time.sleep(0.05)


@pytest.mark.parametrize("kind", [*sorted(COMMON), "temporary", "permanent", "busy"])
def test_a_fault_of_the_mail_server_strikes_once(calm: Any, kind: str) -> None:
    switch_on(calm, "smtp_control", kind=kind, seconds=SECONDS)
    message_id = f"<{new_id()}@town.invalid>"
    began = time.monotonic()
    if kind == "slow":
        mail(calm, message_id)
    else:
        with pytest.raises(smtplib.SMTPException) as refused:
            mail(calm, message_id)
        assert getattr(refused.value, "smtp_code", None) == BY_MAIL.get(kind)
    assert time.monotonic() - began >= (SECONDS if kind in {"timeout", "slow"} else 0)
    kept = len(calm.received("smtp_control", message_id=message_id))
    assert kept == (1 if kind in {"slow", "drop_reply"} else 0)
    mail(calm, message_id)
    assert len(calm.received("smtp_control", message_id=message_id)) == kept + 1


def mail(sandbox: Any, message_id: str) -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Message-ID"] = "town@town.invalid", "hanako@example.jp", message_id
    message.set_content("申請を受け付けました。")
    address = urlsplit(sandbox.addresses["smtp"])
    with smtplib.SMTP(address.hostname or "", address.port or 0, timeout=5) as client:
        client.send_message(message)

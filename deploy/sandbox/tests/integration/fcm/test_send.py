"""FCM answers as its documentation says."""

import base64
import json
import time
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa


def assertion(account: dict[str, str], key: Any = None) -> str:
    now = int(time.time())
    scope = "https://www.googleapis.com/auth/firebase.messaging"
    parts = (
        {"alg": "RS256", "typ": "JWT"},
        {"iss": account["client_email"], "scope": scope, "iat": now, "exp": now + 60},
    )
    signed = b".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in parts)
    key = key or serialization.load_pem_private_key(account["private_key"].encode(), None)
    signature = base64.urlsafe_b64encode(key.sign(signed, padding.PKCS1v15(), hashes.SHA256())).rstrip(b"=")
    return (signed + b"." + signature).decode()


def ask(client: httpx.Client, signed: str) -> httpx.Response:
    grant = "urn:ietf:params:oauth:grant-type:jwt-bearer"
    return client.post("/token", data={"grant_type": grant, "assertion": signed})


@pytest.fixture
def sender(sandbox: Any) -> Any:
    with sandbox.client("fcm") as client:
        answer = ask(client, assertion(sandbox.credentials.fcm_service_account))
        client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        yield client


SEND = "/v1/projects/anamizu-sandbox/messages:send"


def error_code(answer: httpx.Response) -> str:
    return str(answer.json()["error"]["details"][0]["errorCode"])


def test_an_assertion_under_another_key_gets_no_token(sandbox: Any) -> None:
    foreign = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    with sandbox.client("fcm") as client:
        assert ask(client, assertion(sandbox.credentials.fcm_service_account, foreign)).status_code == 400
        assert client.post(SEND, json={"message": {"token": "x"}}).status_code == 401


def test_a_message_is_kept_once_and_gets_a_name(sandbox: Any, sender: httpx.Client) -> None:
    message = {"token": "device-1", "notification": {"title": "お知らせ"}, "data": {"message_id": "m-1"}}
    answer = sender.post(SEND, json={"message": message})
    assert answer.json()["name"].startswith("projects/anamizu-sandbox/messages/")
    [kept] = sandbox.received("fcm", device="device-1")
    assert kept["message"] == message


def test_what_fcm_refuses_has_its_documented_code_and_is_not_kept(sandbox: Any, sender: httpx.Client) -> None:
    removed = sender.post(SEND, json={"message": {"token": "unregistered-7"}})
    assert (removed.status_code, error_code(removed)) == (404, "UNREGISTERED")
    number = sender.post(SEND, json={"message": {"token": "device-2", "data": {"n": 1}}})
    assert (number.status_code, error_code(number)) == (400, "INVALID_ARGUMENT")
    sender.post("/_faults", json={"kind": "quota"})
    limited = sender.post(SEND, json={"message": {"token": "device-2"}})
    assert (limited.status_code, error_code(limited)) == (429, "QUOTA_EXCEEDED")
    assert limited.headers["Retry-After"]
    assert sandbox.received("fcm", device="device-2") == []

"""The partner takes what its secrets sign, once; what does not hold it keeps apart."""

import base64
import json
from typing import Any

from standardwebhooks import Webhook

from town_kit.clock import SystemClock

SECRET = "whsec_" + base64.b64encode(b"a secret of thirty-two bytes ok!").decode()
BODY = json.dumps({"type": "application.accepted", "timestamp": "2027-01-04T00:00:00Z", "data": {"state": "accepted"}})


def signed(message_id: str, body: str = BODY) -> dict[str, str]:
    now = SystemClock().now()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(SECRET).sign(message_id, now, body),
    }


def test_it_takes_what_is_signed_and_knows_a_repeat(sandbox: Any) -> None:
    (sandbox.directory / "partner.json").write_text(json.dumps({"callback_id": "x", "secrets": [SECRET]}))
    with sandbox.client("partner") as partner:
        first, again = (partner.post("/town", content=BODY, headers=signed("msg_1")) for _ in range(2))
        forged = partner.post("/town", content=BODY + " ", headers=signed("msg_2"))
        unsigned = partner.post("/town", content=BODY)
        partner.post("/_faults", json={"kind": "gone"})
        gone = partner.post("/town", content=BODY, headers=signed("msg_3"))
    answers = [answer.status_code for answer in (first, again, forged, unsigned, gone)]
    assert answers == [204, 204, 401, 401, 410]
    assert [e["repeated"] for e in sandbox.received("partner", kind="told", message_id="msg_1")] == [False, True]
    assert [e["fault"] for e in sandbox.received("partner", kind="failed")] == ["gone"]


def test_without_a_town_it_cannot_register(sandbox: Any) -> None:
    with sandbox.client("partner") as partner:
        assert partner.post("/_register").status_code == 502

"""Heads are only ever appended."""

from typing import Any


def test_the_latest_head_of_a_service_is_read_back_and_all_are_kept(sandbox: Any) -> None:
    with sandbox.client("audit_anchor") as client:
        for count in (1, 2):
            assert client.post("/heads", json={"service": "procedures", "count": count}).status_code == 201
        client.post("/heads", json={"service": "identity", "count": 9})
        assert client.get("/heads/latest", params={"service": "procedures"}).json()["head"]["count"] == 2
        assert client.get("/heads/latest", params={"service": "nobody"}).status_code == 404
        assert client.post("/heads", json=["no object"]).status_code == 422
    kept = [e["head"]["count"] for e in sandbox.received("audit_anchor", service="procedures")]
    assert kept == [1, 2]

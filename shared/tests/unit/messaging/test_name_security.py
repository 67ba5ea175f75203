"""What the settings of a log's security may say, and what is told of files that do not fit."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from town_kit.messaging.kafka_security import KafkaSecurity
from town_kit.settings import ServiceSettings, Zone


@pytest.mark.parametrize(
    "said",
    [
        {"protocol": "PLAINTEXT"},
        {"protocol": "SASL_PLAINTEXT", "username": "u", "password_file": "p"},
        {"protocol": "SASL_SSL"},
        {"protocol": "SASL_SSL", "username": "u"},
        {"protocol": "SSL", "username": "u", "password_file": "p"},
        {"protocol": "SSL", "certificate": "c"},
        {"protocol": "SSL", "key": "k"},
        {"protocol": "SASL_SSL", "username": "u", "password_file": "p", "mechanism": "GSSAPI"},
        {"protocol": "SSL", "password": "in the environment"},
    ],
    ids=json.dumps,
)
def test_what_is_half_said_or_open_is_refused(said: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        KafkaSecurity.model_validate(said)


@pytest.mark.parametrize("content", [None, "", "not a certificate"])
def test_a_file_that_does_not_fit_is_named_and_not_shown(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "file"
    if content is not None:
        path.write_text(content)
    empty = tmp_path / "empty"
    empty.write_text("\n")
    for security in (
        KafkaSecurity(protocol="SSL", ca=path),
        KafkaSecurity(protocol="SSL", certificate=path, key=path),
        KafkaSecurity(protocol="SASL_SSL", username="u", password_file=path if content is None else empty),
    ):
        with pytest.raises(RuntimeError) as refused:
            security.options()
        assert str(tmp_path) in str(refused.value)
        assert "not a certificate" not in str(refused.value)


def test_each_zone_has_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    said = {"LGWAN": {"protocol": "SASL_SSL", "username": "u", "password_file": "/run/secrets/kafka"}}
    monkeypatch.setenv("LOG_SECURITY", json.dumps(said))
    made = ServiceSettings(database_url="postgresql://x", issuer="i", jwks="/nowhere")
    assert made.log_security[Zone.LGWAN].mechanism == "SCRAM-SHA-512"
    assert Zone.INTERNET not in made.log_security

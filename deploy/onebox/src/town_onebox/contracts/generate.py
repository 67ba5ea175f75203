"""What stands in ``contracts/``: OpenAPI and AsyncAPI, schema and example per event, problems, scopes, states."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from town_kit.app import create_app, town_routes
from town_kit.audit.chain import batch_event
from town_kit.messaging.event import Event
from town_kit.problems import Problem
from town_kit.problems.base import URN
from town_kit.routing import policy_of
from town_kit.service import Service
from town_onebox.contracts.compose import services
from town_onebox.contracts.examples import example_of
from town_onebox.contracts.states import diagrams

NOTE = "# Generated from the code by `make contracts`; do not edit.\n"
GENERATED = ("openapi", "asyncapi", "events", "states", "problems.yaml", "scopes.yaml")
Files = dict[str, str]


def generate() -> Files:
    """Every generated contract: path below ``contracts/`` → content."""
    with services() as composed:
        return contracts_of(composed)


def contracts_of(composed: Mapping[str, Service]) -> Files:
    """The contracts of services that are composed already."""
    files: Files = {}
    scopes: dict[str, dict[str, Any]] = {}
    for service in composed.values():
        if service.routers:
            app = create_app(service)
            files[f"openapi/{service.name}.yaml"] = _yaml(app.openapi())
            for route in town_routes(app):
                policy = policy_of(route)
                if policy.scope:
                    _add_scope(scopes, service.name, policy, route.methods or (), route.path_format)
        files.update(_events(service))
    files["problems.yaml"] = _yaml(_problems())
    files.update(diagrams())
    files["scopes.yaml"] = _yaml({name: scopes[name] for name in sorted(scopes)})
    return files


def stale(folder: Path, files: Mapping[str, str]) -> list[str]:
    """The paths whose file differs, is missing, or should not be there."""
    there = {str(path.relative_to(folder)) for path in _generated(folder)}
    differing = [name for name, text in files.items() if name in there and (folder / name).read_text("utf-8") != text]
    return sorted({*differing, *(files.keys() - there), *(there - files.keys())})


def write(folder: Path, files: Mapping[str, str]) -> None:
    """Write the files, and remove generated ones that are no longer made."""
    for path in _generated(folder):
        if str(path.relative_to(folder)) not in files:
            path.unlink()
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def _generated(folder: Path) -> Iterable[Path]:
    for name in GENERATED:
        path = folder / name
        yield from (each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path] * path.exists()


def _add_scope(scopes: dict[str, dict[str, Any]], service: str, policy: Any, methods: Iterable[str], path: str) -> None:
    entry = scopes.setdefault(policy.scope, {"service": service, "roles": [], "routes": []})
    entry["roles"] = sorted({*entry["roles"], *(role.value for role in policy.roles)})
    entry["routes"] = sorted({*entry["routes"], *(f"{method} {path}" for method in methods)})


def _problems() -> dict[str, dict[str, Any]]:
    return {
        slug: {
            "type": URN + slug,
            "status": kind.__dict__["status"],
            "title": kind.title,
            "next_step": kind.next_step,
            "meaning": _first_line(kind),
        }
        for slug, kind in sorted(Problem.catalogue.items())
        if kind.__module__.startswith("town_")
    }


def _first_line(kind: type) -> str:
    return (kind.__doc__ or "").strip().split("\n", 1)[0]


def _events(service: Service) -> Files:
    files: Files = {}
    events = sorted((*service.events, batch_event(service.name)), key=lambda event: event.TYPE)
    for event in events:
        base = f"events/{service.name}/{file_name(event)}"
        files[f"{base}.schema.json"] = _json(_schema(event))
        files[f"{base}.example.json"] = _json(example_of(event))
    files[f"asyncapi/{service.name}.yaml"] = _yaml(_asyncapi(service, events))
    return files


def file_name(event: type[Event]) -> str:
    """``application.accepted.v1`` of ``town.procedures.application.accepted.v1``."""
    return event.TYPE.split(".", 2)[2]


def _heard(service: Service) -> dict[str, list[str]]:
    """What the service's consumers read of others: consumer → types of events."""
    return {one.name: sorted(reader.TYPE for reader in one.handlers) for one in service.consumers}


def _schema(model: type[BaseModel]) -> dict[str, Any]:
    schema = model.model_json_schema(mode="serialization")
    event_type = getattr(model, "TYPE", "")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:town:event:{event_type}",
        **schema,
        "additionalProperties": True,
    }


def _asyncapi(service: Service, events: list[type[Event]]) -> dict[str, Any]:
    topics: dict[str, list[type[Event]]] = {}
    for event in events:
        topics.setdefault(event.TOPIC, []).append(event)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": f"{service.title}のイベント",
            "version": "1.0.0",
            "description": "CloudEvents 1.0（binary mode）。鍵は集約の識別子。氏名・住所・個人番号は含みません。",
        },
        "defaultContentType": "application/json",
        "channels": {
            topic: {
                "address": topic,
                "messages": {file_name(each): {"$ref": f"#/components/messages/{file_name(each)}"} for each in members},
            }
            for topic, members in sorted(topics.items())
        },
        "operations": {
            f"send.{topic}": {"action": "send", "channel": {"$ref": f"#/channels/{topic}"}} for topic in sorted(topics)
        },
        "x-listens-to": _heard(service),
        "components": {
            "messages": {
                file_name(event): {
                    "name": event.TYPE,
                    "summary": _first_line(event),
                    "contentType": "application/json",
                    "headers": {"$ref": "#/components/schemas/CloudEventHeaders"},
                    "payload": {"$ref": f"../events/{service.name}/{file_name(event)}.schema.json"},
                    "bindings": {"kafka": {"key": {"type": "string", "format": "uuid"}}},
                }
                for event in events
            },
            "schemas": {"CloudEventHeaders": _HEADERS},
        },
    }


_HEADERS = {
    "type": "object",
    "required": ["ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "ce_sequence"],
    "properties": {
        "ce_specversion": {"const": "1.0"},
        "ce_id": {"type": "string", "format": "uuid"},
        "ce_source": {"type": "string", "description": "urn:jp:municipality:<団体コード>:<service>"},
        "ce_type": {"type": "string"},
        "ce_time": {"type": "string", "format": "date-time"},
        "ce_sequence": {"type": "string", "description": "1, 2, 3 … per key"},
        "traceparent": {"type": "string", "description": "W3C Trace Context"},
        "content-type": {"const": "application/json"},
    },
}


def _yaml(document: Any) -> str:
    return NOTE + yaml.safe_dump(json.loads(json.dumps(document)), allow_unicode=True, sort_keys=False, width=120)


def _json(document: Any) -> str:
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"

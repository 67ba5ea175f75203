"""The outside's own lists (外の記録) as files: ``<name>.jsonl`` of :mod:`town_kit.restoring`, one object a line."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from town_kit.restoring import NAMES, Entries, Lists

_DELIVERY = re.compile(r"^<?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:@.*)?$")


class ListUnreadable(ValueError):
    """A list is not what it should be; the message names file and line, never content."""


def read(folder: Path) -> Lists:
    """The lists of a folder; one that is not there is empty.

    Raises:
        ListUnreadable: a line is no JSON object.
        FileNotFoundError: there is no such folder.
    """
    if not folder.is_dir():
        raise FileNotFoundError(folder)
    return {name: _objects(path) for name in NAMES if (path := folder / f"{name}.jsonl").exists()}


def _objects(path: Path) -> Entries:
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            entry = json.loads(line) if line.strip() else None
        except ValueError:
            raise ListUnreadable(f"{path.name} の {number} 行目を読めません。") from None
        if isinstance(entry, dict):
            found.append(entry)
        elif entry is not None:
            raise ListUnreadable(f"{path.name} の {number} 行目は JSON のオブジェクトではありません。")
    return found


def created(logs: Path) -> Entries:
    """What the web processes' logs say was made; lines of other kinds are passed over."""
    found = []
    for path in sorted(logs.glob("*.log")):
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            if '"created"' not in line:
                continue
            try:
                entry = json.loads(line)
            except ValueError:
                continue  # cut off when the machine went
            if entry.get("event") == "created":
                found.append({"location": str(entry.get("location", "")), "at": entry.get("timestamp")})
    return found


def sandbox(folder: Path) -> Lists:
    """The lists that a trial's outside world would hand over, from its ledgers."""
    shapes: Mapping[str, tuple[str, Callable[[list[dict[str, Any]]], Iterator[dict[str, Any]]]]] = {
        "portal-applications": ("mynaportal", _portal_applications),
        "portal-statuses": ("mynaportal", _portal_statuses),
        "records": ("core_system", _records),
        "heads": ("audit_anchor", _heads),
    }
    lists = {name: list(shape(_ledger(folder, file))) for name, (file, shape) in shapes.items()}
    lists["deliveries"] = [*_mails(_ledger(folder, "smtp")), *_pushes(_ledger(folder, "fcm"))]
    return lists


def _ledger(folder: Path, counterpart: str) -> list[dict[str, Any]]:
    path = folder / f"{counterpart}.jsonl"
    return [dict(entry) for entry in _objects(path)] if path.exists() else []


def _portal_applications(entries: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    return ({"receipt_no": e["receipt_no"]} for e in entries if e["kind"] == "application")


def _portal_statuses(entries: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    fields = ("receipt_no", "sequence", "code", "message", "occurred_at")
    return ({name: e[name] for name in fields} for e in entries if e["kind"] == "status")


def _records(entries: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    fields = ("business_id", "key", "history_number")
    decided = {tuple(e[name] for name in fields) for e in entries if e["kind"] == "result_posted"}
    for e in entries:
        if e["kind"] == "record":
            name = tuple(e[field] for field in fields)
            yield {**dict(zip(fields, name, strict=True)), "acknowledged_at": e["at"], "decided": name in decided}


def _heads(entries: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    return (e["head"] for e in entries if e["kind"] == "head")


def _mails(entries: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    found = (_DELIVERY.match(e["message_id"]) for e in entries if e["kind"] == "message")
    return ({"delivery_id": one[1]} for one in found if one)


def _pushes(entries: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    return ({"delivery_id": e["message"]["data"]["delivery_id"]} for e in entries if e["kind"] == "message")

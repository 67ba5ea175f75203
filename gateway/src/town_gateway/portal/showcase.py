"""What the first page shows, read from the folder that whoever starts the town for a trial writes (``showcase``).

Without the folder, and always in production, the page shows no journey and no token: nothing here is invented by the
gateway. Three files, each may be missing:

``about.json``
    ``{"mode": "onebox", "plan": [{"hop", "title", "title_en"}], "real": [{"name", "detail"}],
    "sandbox": [{"name", "detail"}]}``: the hops to come, and what is real and what is simulated.
``journey.jsonl``
    one object a line, appended as it happens: ``{"hop", "title", "title_en", "at", "ms", "detail", "ok"}``.
    ``hop`` names the step, ``at`` is RFC 3339, ``ms`` counts from the start of the journey, ``detail`` is one line
    without personal data. A line ``{"hop": "end", "ok": true}`` ends the journey, with ``false`` before its goal
    (perhaps before the first hop); ``{"hop": "start"}`` begins another.
``tokens.json``
    ``[{"role", "who", "token", "expires_at", "try": [{"title", "curl"}]}]``: test tokens of the sandbox's people, made
    by a real sign-in; ``{origin}`` and ``{token}`` stand in ``curl`` for what the page knows.
"""

import asyncio
import json
from pathlib import Path
from typing import Any

import structlog

log = structlog.get_logger(__name__)

TAIL_BYTES = 512 * 1024
EMPTY: dict[str, Any] = {"mode": None, "plan": [], "real": [], "sandbox": []}


class Showcase:
    """The folder ``showcase``; None shows nothing."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    async def state(self) -> dict[str, Any]:
        """What the page shows now: the plan, the hops so far, what is real and what is not."""
        if self.folder is None:
            return {**EMPTY, "hops": [], "finished": False, "ok": True}
        about, hops = await asyncio.to_thread(_read, self.folder)
        finished = bool(hops) and hops[-1].get("hop") == "end"
        shown = [hop for hop in hops if hop.get("hop") != "end"]
        ok = not finished or hops[-1].get("ok") is True
        return {**EMPTY, **about, "hops": shown, "finished": finished, "ok": ok}

    async def tokens(self) -> list[dict[str, Any]]:
        """The test tokens, or none."""
        if self.folder is None:
            return []
        found = await asyncio.to_thread(_json, self.folder / "tokens.json", [])
        return found if isinstance(found, list) else []


def _read(folder: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    about = _json(folder / "about.json", {})
    return (about if isinstance(about, dict) else {}), _last_journey(folder / "journey.jsonl")


def _json(path: Path, otherwise: Any) -> Any:
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        return otherwise
    except ValueError:
        log.warning("showcase_unreadable", file=path.name)
        return otherwise


def _last_journey(path: Path) -> list[dict[str, Any]]:
    """The hops since the last start; a line still being written is left for the next look."""
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - TAIL_BYTES))
            lines = file.read().splitlines(keepends=True)
    except FileNotFoundError:
        return []
    hops: list[dict[str, Any]] = []
    for line in lines:
        try:
            hop = json.loads(line) if line.endswith(b"\n") else None
        except ValueError:
            hop = None
        if not isinstance(hop, dict):
            continue
        if hop.get("hop") == "start":
            hops = []
        else:
            hops.append(hop)
    return hops

"""What would break those who built against a contract: compared with the last release (git tag).

A vendor or an app may rely on every path, field, value and refusal that a released contract names, and need send
nothing more than it asked for. Adding is free; taking away, demanding more and changing a meaning are not.
"""

import json
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

Document = Mapping[str, Any]
DEEPEST = 12
METHODS = frozenset({"get", "put", "post", "delete", "patch", "head", "options"})


def last_release(folder: Path) -> str | None:
    """The last tag ``v…`` before what is checked out; None where nothing was released yet."""
    return _git(folder, "describe", "--tags", "--abbrev=0", "--match", "v*")


def since_last_release(folder: Path, files: Mapping[str, str]) -> list[str]:
    """The breaking changes of ``files`` against those under ``folder`` at the last tag; none without a tag."""
    tag = last_release(folder)
    if tag is None:
        return []
    prefix = (_git(folder, "rev-parse", "--show-prefix") or "").rstrip("/")
    names = (_git(folder, "ls-tree", "-r", "--name-only", "--full-tree", tag, "--", f"{prefix}/") or "").splitlines()
    released = {name.removeprefix(f"{prefix}/"): _git(folder, "show", f"{tag}:{name}") or "" for name in names if name}
    return list(breaks(released, files))


def breaks(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[str]:
    """The breaking changes between two sets of contracts (path → content)."""
    for name, text in sorted(old.items()):
        compare = _comparison(name)
        if compare is None:
            continue
        if name not in new:
            yield f"{name}: removed"
            continue
        yield from (f"{name}: {what}" for what in compare(_parsed(name, text), _parsed(name, new[name])))


def openapi_breaks(old: Document, new: Document) -> Iterator[str]:
    """Paths, methods, parameters, bodies, answers and scopes that changed for the worse."""
    for path, methods in old.get("paths", {}).items():
        for method in METHODS & methods.keys():
            where = f"{method.upper()} {path}"
            there = new.get("paths", {}).get(path, {}).get(method)
            if there is None:
                yield f"{where} removed"
            else:
                yield from (f"{where} {what}" for what in _operation_breaks(methods[method], there, old, new))


def event_breaks(old: Document, new: Document) -> Iterator[str]:
    """Members of an event that readers may rely on and that went, changed or may be absent now."""
    yield from _answer_breaks(old, new, old, new, "")


def _operation_breaks(old: Document, new: Document, whole_old: Document, whole_new: Document) -> Iterator[str]:
    before = {(p["in"], p["name"]): p for p in old.get("parameters", ())}
    after = {(p["in"], p["name"]): p for p in new.get("parameters", ())}
    for key, parameter in after.items():
        if parameter.get("required") and not before.get(key, {}).get("required"):
            yield f"demands {key[0]} parameter {key[1]}"
    yield from (f"no longer knows {kind} parameter {name}" for kind, name in before.keys() - after.keys())
    if old.get("x-scope") != new.get("x-scope"):
        yield f"asks for scope {new.get('x-scope')} instead of {old.get('x-scope')}"
    yield from (f"refuses {role}" for role in sorted({*old.get("x-roles", ())} - {*new.get("x-roles", ())}))
    for media, schema in _schemas(old.get("requestBody", {})).items():
        there = _schemas(new.get("requestBody", {})).get(media)
        if there is None:
            yield f"no longer takes {media}"
        else:
            yield from _body_breaks(schema, there, whole_old, whole_new, "")
    for status, answer in old.get("responses", {}).items():
        there = new.get("responses", {}).get(status)
        if there is None:
            if status.startswith("2"):
                yield f"no longer answers {status}"
            continue
        for media, schema in _schemas(answer).items():
            if media in _schemas(there):
                yield from _answer_breaks(schema, _schemas(there)[media], whole_old, whole_new, "")
            else:
                yield f"no longer answers {status} with {media}"


def _schemas(part: Document) -> dict[str, Document]:
    return {media: content.get("schema", {}) for media, content in part.get("content", {}).items()}


def _body_breaks(old: Document, new: Document, whole_old: Document, whole_new: Document, at: str) -> Iterator[str]:
    """What a sender could send and can no longer."""
    old, new = _resolved(old, whole_old), _resolved(new, whole_new)
    yield from (f"demands {at}/{name}" for name in sorted({*new.get("required", ())} - {*old.get("required", ())}))
    yield from (
        f"no longer takes {at}/{n}" for n in sorted(old.get("properties", {}).keys() - new.get("properties", {}))
    )
    yield from (f"no longer takes {value} in {at or '/'}" for value in _missing(old.get("enum"), new.get("enum")))
    yield from _type_breaks(old, new, at)
    yield from _inner(old, new, whole_old, whole_new, at, _body_breaks)


def _answer_breaks(old: Document, new: Document, whole_old: Document, whole_new: Document, at: str) -> Iterator[str]:
    """What a reader could rely on and can no longer."""
    old, new = _resolved(old, whole_old), _resolved(new, whole_new)
    gone = old.get("properties", {}).keys() - new.get("properties", {}).keys()
    yield from (f"no longer gives {at}/{name}" for name in sorted(gone))
    yield from (
        f"may leave out {at}/{name}" for name in sorted({*old.get("required", ())} - {*new.get("required", ())} - gone)
    )
    yield from _type_breaks(old, new, at)
    yield from _inner(old, new, whole_old, whole_new, at, _answer_breaks)


def _type_breaks(old: Document, new: Document, at: str) -> Iterator[str]:
    for word in ("type", "format", "const"):
        if old.get(word) != new.get(word):
            yield f"changes {word} of {at or '/'} from {old.get(word)} to {new.get(word)}"


def _inner(
    old: Document,
    new: Document,
    whole_old: Document,
    whole_new: Document,
    at: str,
    compare: Callable[[Document, Document, Document, Document, str], Iterator[str]],
) -> Iterator[str]:
    if at.count("/") > DEEPEST:
        return  # a schema that holds itself
    for name in old.get("properties", {}).keys() & new.get("properties", {}).keys():
        inside = (old["properties"][name], new["properties"][name])
        yield from compare(*inside, whole_old, whole_new, f"{at}/{name}")
    if "items" in old and "items" in new:
        yield from compare(old["items"], new["items"], whole_old, whole_new, f"{at}/*")
    before, after = _kinds(old), _kinds(new)
    if before.keys() & after.keys() != before.keys():
        yield f"changes the kinds of {at or '/'}"
    for kind in before.keys() & after.keys():
        yield from compare(before[kind], after[kind], whole_old, whole_new, at)


def _kinds(schema: Document) -> dict[str, Document]:
    """The alternatives of a schema, by the name or type of each."""
    found = {}
    for one in schema.get("anyOf", schema.get("oneOf", ())):
        found[str(one.get("$ref") or f"{one.get('type')}/{one.get('format')}/{one.get('const')}")] = one
    return found


def _resolved(schema: Document, whole: Document) -> Document:
    reference = schema.get("$ref")
    if not isinstance(reference, str) or not reference.startswith("#/"):
        return schema
    found: Any = whole
    for step in reference.removeprefix("#/").split("/"):
        found = found.get(step, {})
    return found if isinstance(found, Mapping) else {}


def _missing(old: Any, new: Any) -> list[Any]:
    return [value for value in old if value not in new] if old and new else []


def _comparison(name: str) -> Callable[[Document, Document], Iterator[str]] | None:
    if name.startswith("openapi/"):
        return openapi_breaks
    if name.startswith("events/") and name.endswith(".schema.json"):
        return event_breaks
    return None


def _parsed(name: str, text: str) -> Document:
    document = json.loads(text) if name.endswith(".json") else yaml.safe_load(text)
    return document if isinstance(document, Mapping) else {}


def _git(folder: Path, *arguments: str) -> str | None:
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None

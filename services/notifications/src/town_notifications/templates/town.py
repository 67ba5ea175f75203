"""The town-wide texts: one file per kind of message in the folder ``town``, read once."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from town_notifications.languages import Language
from town_notifications.templates.domain import Kind, Push, SharedTexts, TemplateInvalid, Text, Unreached

FOLDER = Path(__file__).parent / "town"
SHARED = "shared"


@cache
def kinds(folder: Path = FOLDER) -> Mapping[str, Kind]:
    """Every kind of message by its name, which is the file's.

    Raises:
        TemplateInvalid: a file breaks a rule; the town does not start with it.
    """
    return {
        path.stem: read_kind(path.stem, yaml.safe_load(path.read_text(encoding="utf-8")))
        for path in sorted(folder.glob("*.yaml"))
        if path.stem != SHARED
    }


@cache
def shared_texts(folder: Path = FOLDER) -> SharedTexts:
    """The texts that belong to no kind."""
    raw = yaml.safe_load((folder / f"{SHARED}.yaml").read_text(encoding="utf-8"))
    return SharedTexts(
        version=str(raw["version"]),
        push={language: Push(**raw["push"][language]) for language in Language},
        mail_footer={language: raw["mail_footer"][language] for language in Language},
        confirmation_title={language: raw["confirmation"][language]["title"] for language in Language},
        confirmation_body={language: raw["confirmation"][language]["body"] for language in Language},
        unknown={language: raw["unknown"][language] for language in Language},
    )


def read_kind(name: str, raw: Mapping[str, Any]) -> Kind:
    """A kind from the content of its file.

    Raises:
        TemplateInvalid: a member is missing or a text breaks a rule.
    """
    try:
        return Kind(
            name=name,
            version=str(raw["version"]),
            notify=bool(raw["notify"]),
            valid_days=int(raw["valid_days"]),
            unreached=Unreached(raw["unreached"]),
            texts=read_texts(raw["texts"]),
            next_steps={Language(code): str(step) for code, step in raw["next_step"].items()},
        )
    except (KeyError, TypeError, ValueError) as error:
        raise TemplateInvalid(f"{name}: {error}") from error


def read_texts(raw: Mapping[str, Mapping[str, str]]) -> dict[Language, Text]:
    """Texts by language from plain data."""
    return {Language(code): Text(title=text["title"], body=text["body"]) for code, text in raw.items()}

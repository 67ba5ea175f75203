"""The layout of the 番号紐付 file as configuration."""

from pathlib import Path
from typing import Literal

import yaml
from pydantic import Field, ValidationError

from town_identity.jpki import Purpose
from town_kit.profiles import Marked, Part, ProfileIncomplete

PROFILES = Path(__file__).with_name("profiles")


class Column(Marked):
    """The header under which a value stands."""

    header: str


class Columns(Part):
    """The columns that are read; others are passed over."""

    addressee_number: Column
    serial: Column
    purpose: Column
    generation: Column
    valid_from: Column
    valid_until: Column


class PurposeCode(Marked):
    """What a code of the purpose column means."""

    meaning: Purpose


class Encoding(Marked):
    """In which the file is written."""

    value: Literal["utf-8", "utf-8-sig", "cp932"]


class NumberLinkProfile(Part):
    """Encoding, columns and codes of the file."""

    name: str
    encoding: Encoding
    columns: Columns
    purposes: dict[str, PurposeCode] = Field(min_length=1)


def load_number_link_profile(path: Path | None, environment: str) -> NumberLinkProfile:
    """The profile in ``path``, by default the shipped one of the environment; raises :class:`ProfileIncomplete`."""
    chosen = path or PROFILES / ("production.yaml" if environment == "production" else "sandbox.yaml")
    try:
        return NumberLinkProfile.model_validate(yaml.safe_load(chosen.read_text(encoding="utf-8")))
    except ValidationError as error:
        names = ", ".join(".".join(map(str, item["loc"])) for item in error.errors())
        raise ProfileIncomplete(f"{chosen} must be filled: {names}") from None

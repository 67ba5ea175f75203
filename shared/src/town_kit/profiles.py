"""Profiles and dated tables: what is known of an outside system or of the law, as files whose values name a source.

Nothing invented is then taken for official, and a profile that is not filled keeps its service from starting.
"""

from abc import ABC, abstractmethod
from importlib import resources
from pathlib import Path
from typing import Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict

Source = Literal["official", "observed", "ours"]
SHIPPED = ("sandbox", "production")


class ProfileIncomplete(RuntimeError):
    """The profile names no value for something that is needed; the message lists each place."""


class Part(BaseModel):
    """A part of such a file: every member is known, none can be changed."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Marked(Part):
    """A part that says where its values are known from."""

    source: Source


class Profile(Part, ABC):
    """A profile as a whole; ``name`` is what operators call it."""

    name: str

    @property
    @abstractmethod
    def gaps(self) -> tuple[str, ...]:
        """Every place that has no value yet."""


P = TypeVar("P", bound=Profile)


def load_profile(kind: type[P], package: str, title: str, name_or_path: str) -> P:
    """The profile a setting names.

    Args:
        kind: what the file holds.
        package: the Python package whose folder ``profiles`` holds the shipped ones.
        title: what the profile is about, in Japanese, for the message.
        name_or_path: a shipped profile (``sandbox``, ``production``), or a file.

    Raises:
        ProfileIncomplete: something has no value yet.
        pydantic.ValidationError: the file does not have the shape of ``kind``.
    """
    if name_or_path in SHIPPED:
        text = resources.files(package).joinpath("profiles", f"{name_or_path}.yaml").read_text(encoding="utf-8")
    else:
        text = Path(name_or_path).read_text(encoding="utf-8")
    profile = kind.model_validate(yaml.safe_load(text))
    if profile.gaps:
        raise ProfileIncomplete(
            f"{title}のプロファイル「{profile.name}」に未記入の項目があります: {', '.join(profile.gaps)}"
        )
    return profile

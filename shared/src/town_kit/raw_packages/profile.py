"""The layout of a portal's raw package, as a file: known only under contract, so each name carries its source.

A profile that is not filled refuses to load, and with it the service refuses to start.
"""

from importlib import resources
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict

Source = Literal["official", "observed", "ours"]
SHIPPED = ("sandbox", "production")


class ProfileIncomplete(RuntimeError):
    """The profile names no value for something that is needed; the message lists each place."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    source: Source


class Members(_Part):
    """The files in the ZIP."""

    signed: str
    signature: str
    attachments_folder: str


class Fields(_Part):
    """The members of the signed JSON document; ``format_value`` is what ``format`` must say."""

    format: str
    format_value: str
    procedure_id: str
    municipality_code: str
    signed_at: str
    answers: str
    attachments: str


class AttachmentFields(_Part):
    """The members of one entry of the list of attachments."""

    kind: str
    member: str
    filename: str
    media_type: str
    size: str
    sha256: str


class PackageProfile(_Part):
    """The raw package of one portal; ``name`` also chooses the portal's procedure numbers in the folders."""

    name: str
    members: Members
    fields: Fields
    attachment: AttachmentFields

    @property
    def gaps(self) -> tuple[str, ...]:
        """Every place that has no value yet."""
        parts = {"members": self.members, "fields": self.fields, "attachment": self.attachment}
        return tuple(
            f"{place}.{name}" for place, part in parts.items() for name, value in part.model_dump().items() if not value
        )


def load_profile(name_or_path: str) -> PackageProfile:
    """A shipped profile by name (``sandbox``, ``production``), or a file.

    Raises:
        ProfileIncomplete: something has no value yet.
        pydantic.ValidationError: the file does not have the shape of a profile.
    """
    if name_or_path in SHIPPED:
        text = resources.files(__package__).joinpath("profiles", f"{name_or_path}.yaml").read_text(encoding="utf-8")
    else:
        text = Path(name_or_path).read_text(encoding="utf-8")
    profile = PackageProfile.model_validate(yaml.safe_load(text))
    if profile.gaps:
        raise ProfileIncomplete(
            f"申請データのプロファイル「{profile.name}」に未記入の項目があります: {', '.join(profile.gaps)}"
        )
    return profile

"""The layout of a portal's raw package, as a file: known only under contract, so each name carries its source.

A profile that is not filled refuses to load, and with it the service refuses to start.
"""

from town_kit import profiles
from town_kit.profiles import Marked


class Members(Marked):
    """The files in the ZIP."""

    signed: str
    signature: str
    attachments_folder: str


class Fields(Marked):
    """The members of the signed JSON document; ``format_value`` is what ``format`` must say."""

    format: str
    format_value: str
    procedure_id: str
    municipality_code: str
    signed_at: str
    answers: str
    attachments: str


class AttachmentFields(Marked):
    """The members of one entry of the list of attachments."""

    kind: str
    member: str
    filename: str
    media_type: str
    size: str
    sha256: str


class PackageProfile(profiles.Profile, Marked):
    """The raw package of one portal; ``name`` also chooses the portal's procedure numbers in the folders."""

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
    """A shipped profile by name (``sandbox``, ``production``), or a file: :func:`town_kit.profiles.load_profile`."""
    return profiles.load_profile(PackageProfile, __package__, "申請データ", name_or_path)

"""What a citizen's device hands to the portal: answers, attachments and one detached CMS signature in a ZIP.

Exactly one member is signed: the canonical JSON of the answers, which binds every attachment by its SHA-256.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from town_sandbox.mynaportal.form_pdf import form_pdf
from town_sandbox.mynaportal.profile import Profile

_ZIP_EPOCH = (2000, 1, 1, 0, 0, 0)


class Card(Protocol):
    """What the portal's citizen side needs of a virtual card."""

    def sign(self, content: bytes, at: datetime) -> bytes:
        """A detached CMS SignedData (DER) over ``content`` by the card's 署名用 key."""
        ...


@dataclass(frozen=True)
class Attachment:
    """A file the citizen adds; ``kind`` is one of the procedure's attachment kinds."""

    kind: str
    filename: str
    media_type: str
    content: bytes


def canonical_json(value: Any) -> bytes:
    """Sorted members, no blanks, UTF-8: the same answers always give the same bytes."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def signed_member(
    profile: Profile,
    *,
    procedure_id: str,
    municipality_code: str,
    signed_at: datetime,
    answers: Mapping[str, Any],
    attachments: Sequence[tuple[str, Attachment]],
) -> bytes:
    """The bytes the card signs. ``attachments`` are pairs of member name and file."""
    name = profile.package.answers
    return canonical_json(
        {
            "format": name["format"],
            name["procedure_id"]: procedure_id,
            name["municipality_code"]: municipality_code,
            name["signed_at"]: signed_at.isoformat(),
            name["answers"]: answers,
            name["attachments"]: [
                {
                    "kind": attachment.kind,
                    "member": member,
                    "filename": attachment.filename,
                    "media_type": attachment.media_type,
                    "size": len(attachment.content),
                    "sha256": hashlib.sha256(attachment.content).hexdigest(),
                }
                for member, attachment in attachments
            ],
        }
    )


def build_package(
    profile: Profile,
    *,
    procedure_id: str,
    procedure_title: str,
    municipality_code: str,
    signed_at: datetime,
    answers: Mapping[str, Any],
    attachments: Sequence[Attachment],
    card: Card | None,
) -> bytes:
    """The raw package (ZIP). Without a card it is not signed, as for a procedure that asks for a login only."""
    named = [
        (f"{profile.package.attachments_folder}{i:02}{_suffix(a.media_type)}", a) for i, a in enumerate(attachments, 1)
    ]
    signed = signed_member(
        profile,
        procedure_id=procedure_id,
        municipality_code=municipality_code,
        signed_at=signed_at,
        answers=answers,
        attachments=named,
    )
    members = {profile.package.signed_member: signed}
    if card is not None:
        members[profile.package.signature_member] = card.sign(signed, signed_at)
    members[profile.package.form_pdf_member] = form_pdf(procedure_title, _lines(answers))
    members |= {member: attachment.content for member, attachment in named}
    return zip_members(members)


def zip_members(members: Mapping[str, bytes]) -> bytes:
    """A ZIP with these members in this order; the same members always give the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in members.items():
            archive.writestr(zipfile.ZipInfo(member, _ZIP_EPOCH), content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def unzip_members(package: bytes) -> dict[str, bytes]:
    """The members of a package this portal built itself; for tests that change one and zip it again."""
    with zipfile.ZipFile(io.BytesIO(package)) as archive:
        return {info.filename: archive.read(info) for info in archive.infolist()}


def _suffix(media_type: str) -> str:
    return {"application/pdf": ".pdf", "image/jpeg": ".jpg", "image/png": ".png"}.get(media_type, ".bin")


def _lines(value: Any, label: str = "") -> list[str]:
    if isinstance(value, Mapping):
        return [
            line for key, inner in value.items() for line in _lines(inner, f"{label}／{key}" if label else str(key))
        ]
    if isinstance(value, list):
        return [line for i, inner in enumerate(value, 1) for line in _lines(inner, f"{label}［{i}］")]
    return [f"{label}：{value}"]

"""The sandbox's portal profile, read from ``profile.yaml``; every name in it is invented here (``source: ours``)."""

from functools import cache
from importlib import resources
from typing import Any

import yaml
from pydantic import BaseModel


class Call(BaseModel, frozen=True, extra="forbid"):
    """One call of the town to the portal."""

    source: str
    method: str
    path: str
    request: dict[str, str] = {}
    response: dict[str, str] = {}
    query: dict[str, str] = {}
    item: dict[str, str] = {}
    codes: dict[str, str] = {}
    token_header: str = ""
    media_type: str = "application/json"


class PackageNames(BaseModel, frozen=True, extra="forbid"):
    """The members of a raw package and the fields of its signed member."""

    source: str
    signed_member: str
    signature_member: str
    form_pdf_member: str
    attachments_folder: str
    answers: dict[str, str]


class Profile(BaseModel, frozen=True, extra="forbid"):
    """``profile.yaml``."""

    name: str
    source: str
    login: Call
    list: Call
    get: Call
    status: Call
    errors: dict[str, Any]
    package: PackageNames
    webhook: dict[str, str]


@cache
def sandbox_profile() -> Profile:
    """The profile of this portal."""
    text = resources.files("town_sandbox.mynaportal").joinpath("profile.yaml").read_text(encoding="utf-8")
    return Profile.model_validate(yaml.safe_load(text))

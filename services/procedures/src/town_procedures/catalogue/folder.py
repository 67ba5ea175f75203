"""Reading a procedure folder strictly: a folder that is not whole does not load, and the service does not start."""

import functools
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from string import Formatter
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError

from town_kit.clock import SystemClock, japan_date
from town_kit.problems import FieldError
from town_kit.profiles import Marked, Part
from town_procedures.catalogue.checks import CHECKS
from town_procedures.catalogue.form import MY_NUMBER_IN_TEXT, Form, flaws, my_number_pointers, numbers_in_text
from town_procedures.catalogue.pointers import Condition

Languages = Literal["ja", "ja-simple", "en"]
LANGUAGES: tuple[Languages, ...] = ("ja", "ja-simple", "en")
FACTS = (
    "submitted",
    "pending_verification",
    "verified",
    "accepted",
    "review_started",
    "correction_requested",
    "correction_received",
    "postponed",
    "approved",
    "rejected",
    "withdrawn",
    "completed",
    "decision_revised",
    "decision_revoked",
)
"""Facts of an application a resident is told; 収受 and 起案 are the office's own business."""
MediaType = Literal["application/pdf", "image/jpeg", "image/png"]
_TYPE_NAMES: Mapping[str, str] = {"application/pdf": "PDF", "image/jpeg": "JPEG", "image/png": "PNG"}
_MEGABYTE = 1024 * 1024
PLACEHOLDERS = frozenset({"reference", "procedure", "next_step", "expected_date"})


class CatalogueError(ValueError):
    """A folder is not whole; the message names the folder and what is wrong with it."""


class Fee(Marked):
    """手数料."""

    amount_yen: int = Field(ge=0)
    basis: str


class CalendarDays(Marked):
    """A period of a law, in days of the calendar from the day of filing on (初日不算入: 民法140条)."""

    days: int = Field(ge=1)
    basis: str


class StandardDays(Marked):
    """標準処理期間 in working days (行政手続法 第6条); ``None`` where the town set none.

    Where a law allows no more than so many calendar days, whichever ends earlier counts.
    """

    working_days: int | None = Field(ge=1)
    basis: str
    calendar_days_at_most: CalendarDays | None = None


class Retention(Marked):
    """保存期間 after the end of the year of completion."""

    years: int = Field(ge=1)
    basis: str


class AttachmentRule(Part):
    """添付書類 of one kind."""

    kind: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    title: dict[Languages, str]
    types: tuple[MediaType, ...] = Field(min_length=1)
    max_bytes: int = Field(gt=0)
    max_count: int = Field(1, ge=1)
    required: bool = False
    required_if: tuple[Condition, ...] = ()
    my_number_may_show: bool = Field(description="true: only the vault may read the file")

    def is_required(self, answers: Mapping[str, Any], on: date) -> bool:
        """Whether these answers need the file."""
        return self.required or (bool(self.required_if) and all(c.holds(answers, on) for c in self.required_if))


@dataclass(frozen=True, slots=True)
class AttachedFile:
    """A file as it is held against the folder's rules: kind, media type as found by looking, size in bytes."""

    kind: str
    media_type: str
    size: int


class CheckCall(Part):
    """One check of the library with its parameters."""

    name: str
    parameters: dict[str, Any] = Field(default_factory=dict)


class PartyRule(Part):
    """Where the answers name a party (当事者), and in which role."""

    role: Literal["applicant", "subject", "proxy", "household_member"]
    pointer: str
    when: tuple[Condition, ...] = ()


class PortalProcedure(Marked):
    """The number of the procedure at ぴったりサービス, by profile."""

    profile: str
    procedure_id: str


class _Head(Part):
    code: str = Field(pattern=r"^[A-Z]{2}-\d{2}$")
    version: str = Field(pattern=r"^\d{4}\.\d+$")
    title: dict[Languages, str]
    business_id: str = Field(pattern=r"^\d{3}$")
    adapter: str
    decided_by: Literal["core", "staff"]
    two_person_decision: bool
    auto_accept: bool
    assurance: Literal["signature", "login"]
    channels: tuple[Literal["mynaportal", "app", "counter", "paper", "phone", "visit"], ...]
    fee: Fee
    standard_days: StandardDays
    retention: Retention
    legal_basis: tuple[str, ...] = Field(min_length=1)
    party_roles: tuple[PartyRule, ...] = Field(min_length=1)
    attachments: tuple[AttachmentRule, ...]
    checks: tuple[CheckCall, ...]
    mynaportal: tuple[PortalProcedure, ...]


@dataclass(frozen=True)
class Procedure:
    """A procedure folder, read and found whole; see ``procedure.yaml`` for the meaning of each field."""

    code: str
    version: str
    title: Mapping[str, str]
    business_id: str
    adapter: str
    decided_by: Literal["core", "staff"]
    two_person_decision: bool
    auto_accept: bool
    requires_signature: bool
    channels: tuple[str, ...]
    fee: Fee
    standard_days: int | None
    calendar_days_at_most: int | None
    retention: Retention
    legal_basis: tuple[str, ...]
    party_roles: tuple[PartyRule, ...]
    attachments: tuple[AttachmentRule, ...]
    mynaportal: tuple[PortalProcedure, ...]
    form: Mapping[str, Any]
    messages: Mapping[str, Any]
    mapping: Mapping[str, Any]
    folder: Path
    _form: Form = field(repr=False)
    _checks: tuple[functools.partial[list[FieldError]], ...] = field(repr=False)

    def validate(
        self, answers: Mapping[str, Any], *, attachments: Sequence[AttachedFile], on: date | None = None
    ) -> list[FieldError]:
        """Everything that is wrong with an application, with pointers into the request (``/answers/…``).

        Args:
            answers: as the form wants them.
            attachments: the attached files, in the order of the request.
            on: the day on which ages and terms are judged; today in Japan when not given.
        """
        day = on or japan_date(SystemClock().now())
        errors = self._form.errors(answers)
        if not errors:
            errors = [error for check in self._checks for error in check(answers, on=day)]
        errors += [
            FieldError(pointer, MY_NUMBER_IN_TEXT, "個人番号らしい数字があります。専用の欄以外には書かないでください。")
            for pointer in numbers_in_text(self.form, answers)
        ]
        placed = [FieldError(f"/answers{e.pointer}", e.code, e.message) for e in errors]
        return placed + self._attachment_errors(answers, attachments, day)

    def _attachment_errors(
        self, answers: Mapping[str, Any], files: Sequence[AttachedFile], on: date
    ) -> list[FieldError]:
        rules = {rule.kind: rule for rule in self.attachments}
        errors = [
            FieldError(f"/attachments/{index}", *wrong)
            for index, file in enumerate(files)
            if (wrong := _file_flaw(file, rules.get(file.kind)))
        ]
        for rule in self.attachments:
            given = sum(file.kind == rule.kind for file in files)
            if given > rule.max_count:
                errors.append(
                    FieldError(
                        "/attachments", "too-many", f"「{rule.title['ja']}」のファイルが多すぎます。減らしてください。"
                    )
                )
            if not given and rule.is_required(answers, on):
                errors.append(FieldError("/attachments", "missing", f"「{rule.title['ja']}」を添付してください。"))
        return errors

    def my_number_pointers(self, answers: Mapping[str, Any]) -> list[str]:
        """Where these answers may hold a 個人番号; pointers are relative to the answers, lists expanded."""
        return my_number_pointers(self.form, answers)

    def parties(self, answers: Mapping[str, Any], on: date) -> tuple[PartyRule, ...]:
        """The rules whose conditions these answers meet."""
        return tuple(rule for rule in self.party_roles if all(c.holds(answers, on) for c in rule.when))

    def portal_ids(self, profile: str) -> tuple[str, ...]:
        """The numbers under which a portal profile knows this procedure."""
        return tuple(one.procedure_id for one in self.mynaportal if one.profile == profile)


def _file_flaw(file: AttachedFile, rule: AttachmentRule | None) -> tuple[str, str] | None:
    """Code and sentence of what is wrong with one file."""
    if rule is None:
        return "unknown-kind", "この手続きでは受け付けていない種類の書類です。外してください。"
    if file.media_type not in rule.types:
        accepted = "・".join(_TYPE_NAMES[one] for one in rule.types)
        return "media-type", f"「{rule.title['ja']}」は {accepted} で保存し直して送ってください。"
    if file.size > rule.max_bytes:
        limit = f"{rule.max_bytes / _MEGABYTE:.3g} MB" if rule.max_bytes >= _MEGABYTE else f"{rule.max_bytes:,} バイト"
        return "too-large", f"「{rule.title['ja']}」は1ファイル {limit} までです。小さくして送ってください。"
    return None


def load_catalogue(path: Path) -> dict[str, Procedure]:
    """Every procedure folder below a folder, by code.

    Raises:
        CatalogueError: a folder is not whole, or two have one code.
    """
    found: dict[str, Procedure] = {}
    for head in sorted(path.glob("*/procedure.yaml")):
        procedure = load_folder(head.parent)
        if procedure.code in found:
            raise CatalogueError(f"{head.parent.name}: code {procedure.code} is already used")
        found[procedure.code] = procedure
    return found


def load_folder(folder: Path) -> Procedure:
    """One procedure folder.

    Raises:
        CatalogueError: something is missing, unknown or does not fit together.
    """
    try:
        head = _Head.model_validate(_yaml(folder / "procedure.yaml"))
        form = Form(_yaml(folder / "form.schema.json"))
        messages, mapping = _yaml(folder / "messages.yaml"), _yaml(folder / "mapping.yaml")
    except (ValidationError, OSError, yaml.YAMLError, KeyError, ValueError) as error:
        raise CatalogueError(f"{folder.name}: {error}") from error
    wrong = [*flaws(form.schema), *_head_flaws(head, form), *_message_flaws(messages), *_mapping_flaws(mapping, form)]
    if wrong:
        raise CatalogueError(f"{folder.name}: " + "; ".join(wrong))
    limit = head.standard_days.calendar_days_at_most
    return Procedure(
        code=head.code,
        version=head.version,
        title=dict[str, str](head.title.items()),
        business_id=head.business_id,
        adapter=head.adapter,
        decided_by=head.decided_by,
        two_person_decision=head.two_person_decision,
        auto_accept=head.auto_accept,
        requires_signature=head.assurance == "signature",
        channels=head.channels,
        fee=head.fee,
        standard_days=head.standard_days.working_days,
        calendar_days_at_most=limit.days if limit else None,
        retention=head.retention,
        legal_basis=head.legal_basis,
        party_roles=head.party_roles,
        attachments=head.attachments,
        mynaportal=head.mynaportal,
        form=form.schema,
        messages=messages,
        mapping=mapping,
        folder=folder,
        _form=form,
        _checks=tuple(functools.partial(CHECKS[one.name], **one.parameters) for one in head.checks),
    )


def _yaml(path: Path) -> Any:
    """YAML, of which JSON is a part."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def _head_flaws(head: _Head, form: Form) -> list[str]:
    kinds = [rule.kind for rule in head.attachments]
    wrong = [f"attachment {kind} stands twice" for kind in set(kinds) if kinds.count(kind) > 1]
    wrong += ["auto_accept needs decided_by: core"] if head.auto_accept and head.decided_by != "core" else []
    if head.two_person_decision and head.decided_by != "staff":
        wrong.append("two_person_decision needs decided_by: staff")
    wrong += [f"unknown check {one.name}" for one in head.checks if one.name not in CHECKS]
    for one in head.checks:
        if one.name in CHECKS:
            try:
                inspect.signature(CHECKS[one.name]).bind({}, on=date.min, **one.parameters)
            except TypeError as error:
                wrong.append(f"check {one.name}: {error}")
    pointers = [rule.pointer for rule in head.party_roles]
    pointers += [c.pointer for rule in head.party_roles for c in rule.when]
    pointers += [c.pointer for rule in head.attachments for c in rule.required_if]
    pointers += [p for one in head.checks for p in _pointers_in(one.parameters)]
    return wrong + [f"the form has no {pointer}" for pointer in pointers if not form.has(pointer)]


def _pointers_in(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        return [pointer for inner in value.values() for pointer in _pointers_in(inner)]
    if isinstance(value, list):
        return [pointer for inner in value for pointer in _pointers_in(inner)]
    return [value] if isinstance(value, str) and value.startswith("/") else []


def _message_flaws(messages: Any) -> list[str]:
    if not isinstance(messages, Mapping) or set(messages) != {"version", "templates"}:
        return ["messages.yaml holds version and templates"]
    templates = messages["templates"]
    wrong = [f"no message for {fact}" for fact in FACTS if fact not in templates]
    wrong += [f"unknown fact {fact}" for fact in templates if fact not in FACTS]
    for fact, by_language in templates.items():
        wrong += [f"message {fact} lacks {language}" for language in LANGUAGES if language not in by_language]
        for language, template in by_language.items():
            if language not in LANGUAGES or set(template) != {"title", "body"}:
                wrong.append(f"message {fact}/{language} holds title and body")
                continue
            used = {name for text in template.values() for _, name, _, _ in Formatter().parse(text) if name is not None}
            wrong += [f"message {fact}/{language}: {{{name}}} is not allowed" for name in used - PLACEHOLDERS]
    return wrong


def _mapping_flaws(mapping: Any, form: Form) -> list[str]:
    if not isinstance(mapping, Mapping):
        return ["mapping.yaml is no mapping"]
    return [f"mapping: the form has no {pointer}" for pointer in _pointers_in(mapping) if not form.has(pointer)]

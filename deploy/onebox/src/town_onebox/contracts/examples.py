"""An example of an event, made from its class: the same one each time, and one the class itself accepts."""

import types
import uuid
from collections.abc import Mapping
from datetime import date, datetime
from enum import Enum
from typing import Annotated, Any, Literal, Union, get_args, get_origin
from uuid import UUID

from pydantic import BaseModel
from pydantic.fields import FieldInfo

_AT = "2026-11-24T01:23:45Z"
_BY_NAME: Mapping[str, Any] = {
    "municipality_code": "174611",
    "procedure_code": "CH-01",
    "procedure_version": "2026.1",
    "business_id": "027",
    "channel": "mynaportal",
    "state": "accepted",
    "due_on": "2026-12-15",
    "fiscal_year": 2026,
    "receipt_no": "202611240000000001",
    "reference": "CH-7K2M-9",
    "reason_code": "requirements-not-met",
    "role": "applicant",
}
_SIMPLE: Mapping[type, Any] = {
    str: "example",
    int: 1,
    float: 1.0,
    bool: True,
    datetime: _AT,
    date: "2026-11-24",
    dict: {},
}


def example_of(model: type[BaseModel]) -> dict[str, Any]:
    """An example in JSON's types; raises pydantic's ``ValidationError`` when the class would refuse it."""
    made = {name: _field(name, field) for name, field in model.model_fields.items()}
    return model.model_validate(made).model_dump(mode="json")


def _field(name: str, field: FieldInfo) -> Any:
    if field.examples:
        return field.examples[0]
    if name in _BY_NAME:
        return _BY_NAME[name]
    return _value(name, field.annotation)


def _value(name: str, kind: Any) -> Any:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _value(name, arguments[0])
    if origin is Literal:
        return arguments[0]
    if origin in (Union, types.UnionType):
        return _value(name, next(each for each in arguments if each is not type(None)))
    if origin in (list, tuple, set, frozenset):
        return [_value(name, arguments[0])] if arguments else []
    if origin is dict:
        return {}
    if isinstance(kind, type):
        if issubclass(kind, BaseModel):
            return example_of(kind)
        if issubclass(kind, Enum):
            return next(iter(kind)).value
        if issubclass(kind, UUID):
            return str(uuid.uuid5(uuid.NAMESPACE_URL, f"urn:town:example:{name}"))
        return next((value for known, value in _SIMPLE.items() if issubclass(kind, known)), None)
    return {}

"""Wire models: strict in, complete out.

FastAPI hands parsed JSON to pydantic, where pydantic's own strict mode would refuse UUIDs and dates written as
strings. So numbers and booleans are strict by type (:data:`Int`, :data:`Bool`) and unknown members are refused by
:class:`Input`.
"""

from datetime import datetime
from typing import Annotated, Generic, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, Strict

from town_kit.jp import contains_my_number

Item = TypeVar("Item")


class Input(BaseModel):
    """A body the town reads: unknown members are refused, text is not stripped or coerced."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Output(BaseModel):
    """An answer of the town: every field always present; what may be absent is null, never missing."""

    model_config = ConfigDict(frozen=True)


def _without_my_number(text: str) -> str:
    if contains_my_number(text):
        raise ValueError("個人番号らしい数字があります。ここには入力しないでください。")
    return text


FreeText = Annotated[str, Field(max_length=2000), AfterValidator(_without_my_number)]
"""Text a person wrote; a My Number in it is refused (個人番号は専用の欄だけに書く)."""


def _with_a_date_everywhere(moment: datetime) -> datetime:
    if not 1900 <= moment.year < 2200:
        raise ValueError("日時の年を確認してください。")
    return moment


Moment = Annotated[AwareDatetime, AfterValidator(_with_a_date_everywhere)]
"""A moment with its offset, in a year in which something can have happened; at the ends of the calendar, another
offset has no date and a period of days has no end."""

Int = Annotated[int, Strict()]
Bool = Annotated[bool, Strict()]


class Page(Output, Generic[Item]):
    """One page of a list; ``next_cursor`` asks for the next, null is the end. No total is counted."""

    items: list[Item]
    next_cursor: str | None

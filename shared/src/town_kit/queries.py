"""What stands in a URL: searched for what must not be there before anything is done with it."""

import re
from collections.abc import Iterator

from fastapi.dependencies.models import Dependant
from starlette.requests import Request

from town_kit.jp import contains_my_number
from town_kit.problems import FieldError, NotFound, ValidationFailed

# Query parameters that hold an id or a place in a list: one id of twelve digits in eleven looks like a My Number.
_IDS = re.compile(r"cursor|receipt_no|(?:[a-z_]+_)?id")


def query_names(dependant: Dependant) -> Iterator[str]:
    """The names of a route's query parameters, its dependencies' too."""
    yield from (parameter.alias for parameter in dependant.query_params)
    for inner in dependant.dependencies:
        yield from query_names(inner)


def refuse_nul(request: Request) -> None:
    """No NUL (文字コード 0), for which PostgreSQL has no value: nothing has such a name, and no query asks for one.

    Raises:
        NotFound: it stands in the path.
        ValidationFailed: it stands in the query.
    """
    if "\x00" in request.scope["path"]:
        raise NotFound("URL に使えない文字があります。番号を確認してください。")
    if b"%00" in request.scope["query_string"] or b"\x00" in request.scope["query_string"]:
        raise ValidationFailed(
            "文字コード 0 の文字（%00）を URL から取り除いて、もう一度送ってください。",
            errors=[FieldError("", "nul", "使えない文字があります。")],
        )


def refuse_my_number(request: Request, known: frozenset[str]) -> None:
    """No My Number in a query, which stands in logs and histories of whatever it passes on its way.

    A name that is not one of ours is not told again: it could be the number itself.

    Raises:
        ValidationFailed: there is one.
    """
    for name, value in request.query_params.multi_items():
        if name in known and _IDS.fullmatch(name):
            continue
        if contains_my_number(value) or contains_my_number(name):
            raise ValidationFailed(
                "個人番号は URL に入れず、専用の欄だけに入力してください。",
                errors=[FieldError(f"/{name}" if name in known else "", "my-number", "個人番号らしい数字があります。")],
            )

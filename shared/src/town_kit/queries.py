"""What stands in a query (URL の ? の後ろ): searched for a My Number before anything is done with it."""

import re
from collections.abc import Iterator

from fastapi.dependencies.models import Dependant
from starlette.requests import Request

from town_kit.jp import contains_my_number
from town_kit.problems import FieldError, ValidationFailed

# Query parameters that hold an id or a place in a list: one id of twelve digits in eleven looks like a My Number.
_IDS = re.compile(r"cursor|receipt_no|(?:[a-z_]+_)?id")


def query_names(dependant: Dependant) -> Iterator[str]:
    """The names of a route's query parameters, its dependencies' too."""
    yield from (parameter.alias for parameter in dependant.query_params)
    for inner in dependant.dependencies:
        yield from query_names(inner)


def refuse_my_number(request: Request, known: frozenset[str]) -> None:
    """No My Number in a query, which stands in logs and histories of whatever it passes on its way.

    A name that is not one of ours is not told again: it could be the number itself.
    """
    for name, value in request.query_params.multi_items():
        if name in known and _IDS.fullmatch(name):
            continue
        if contains_my_number(value) or contains_my_number(name):
            raise ValidationFailed(
                "個人番号は URL に入れず、専用の欄だけに入力してください。",
                errors=[FieldError(f"/{name}" if name in known else "", "my-number", "個人番号らしい数字があります。")],
            )

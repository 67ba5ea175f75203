"""What pydantic found wrong, told as field errors: where, which rule, a sentence in Japanese; never the input."""

from typing import Any

from fastapi.exceptions import RequestValidationError

from town_kit.problems import FieldError

_SENTENCES = {
    "missing": "必ず入力してください。",
    "extra_forbidden": "この項目は送れません。",
    "string_too_long": "文字数が多すぎます。{max_length} 文字までで入力してください。",
    "string_too_short": "文字数が足りません。{min_length} 文字以上で入力してください。",
    "string_pattern_mismatch": "決められた形式で入力してください。",
    "string_type": "文字で入力してください。",
    "int_type": "数で入力してください。",
    "int_parsing": "数で入力してください。",
    "bool_type": "true か false にしてください。",
    "uuid_parsing": "識別番号の形式が正しくありません。",
    "uuid_type": "識別番号の形式が正しくありません。",
    "date_from_datetime_parsing": "日付は YYYY-MM-DD で入力してください。",
    "date_parsing": "日付は YYYY-MM-DD で入力してください。",
    "datetime_from_date_parsing": "日時は時差付き（例 2027-01-01T09:00:00+09:00）で入力してください。",
    "timezone_aware": "日時には時差（+09:00 など）を付けてください。",
    "enum": "選択肢から選んでください。",
    "literal_error": "選択肢から選んでください。",
    "greater_than_equal": "値が小さすぎます。{ge} 以上で入力してください。",
    "greater_than": "値が小さすぎます。{gt} より大きい値を入力してください。",
    "less_than_equal": "値が大きすぎます。{le} 以下で入力してください。",
    "less_than": "値が大きすぎます。{lt} より小さい値を入力してください。",
    "too_long": "件数が多すぎます。{max_length} 件までにしてください。",
    "too_short": "件数が足りません。{min_length} 件以上にしてください。",
    "json_invalid": "JSON として読めません。",
}
_DEFAULT = "入力内容を確認してください。"


def field_errors(error: RequestValidationError) -> list[FieldError]:
    """The field errors of a failed validation, at most 50."""
    items = list(error.errors())
    invented = {item["loc"][:-1] for item in items if item["loc"][-1:] == ("[key]",)}
    found = (FieldError(_pointer(_known(item, invented)), str(item["type"]), _sentence(item)) for item in items[:50])
    return list(dict.fromkeys(found))


def _known(item: dict[str, Any], invented: set[tuple[object, ...]]) -> tuple[object, ...]:
    """Where it is, as far as the names are ours: one the caller made up could be a My Number."""
    location: tuple[object, ...] = item["loc"]
    if item["type"] == "extra_forbidden":
        location = location[:-1]
    ends = (end for end in range(1, len(location) + 1) if location[:end] in invented)
    return location[: next(ends, len(location) + 1) - 1]


def _sentence(item: dict[str, object]) -> str:
    if item["type"] == "value_error":  # our own validators: their sentence is ours and holds no input
        return str(item.get("msg", "")).removeprefix("Value error, ") or _DEFAULT
    bounds = item.get("ctx")  # of the rule, as the model states them
    try:
        return _SENTENCES.get(str(item["type"]), _DEFAULT).format_map(bounds if isinstance(bounds, dict) else {})
    except KeyError:
        return _DEFAULT


def _pointer(location: tuple[object, ...]) -> str:
    parts = location[1:] if location and location[0] in {"body", "query", "path", "header"} else location
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)

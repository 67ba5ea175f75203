"""How a core system decides: approve with the amount of the record, reject what carries the marker."""

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

REJECTION_MARKER = "却下確認用"
"""Any value of a record that contains it makes the core system reject; written into an answer by a test or a drill."""

AMOUNT_FIELDS = ("teate_getsugaku", "shikyu_getsugaku", "monthly_amount")


def decide(business_id: str, key: str, history_number: int, record: Mapping[str, Any], today: date) -> dict[str, Any]:
    """The result of one record. Its id says which record it belongs to, so a result is never posted under two ids."""
    rejected = any(REJECTION_MARKER in value for value in texts(record))
    amounts = [record[name] for name in AMOUNT_FIELDS if isinstance(record.get(name), int)]
    return {
        "result_id": f"{business_id}-{key}-{history_number}",
        "key": key,
        "history_number": history_number,
        "decision": "rejected" if rejected else "approved",
        "reason_code": "requirements_not_met" if rejected else None,
        "decided_on": today.isoformat(),
        "amount_yen": None if rejected or not amounts else amounts[0],
    }


def texts(value: Any) -> Iterator[str]:
    """Every text that stands anywhere in a record."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner)

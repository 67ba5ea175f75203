"""What a restored town remembers of its restore (``restored.json``)."""

import json
from dataclasses import asdict, dataclass
from datetime import datetime

from town_onebox.place import Place


@dataclass(frozen=True, slots=True)
class Restored:
    """A restore.

    Attributes:
        backup_taken_at: from when the data is.
        restored_at: when it was restored.
        skipped: the numbers that are left out, as the operator was told.
        reconciled_at: when it was first compared with the outside; None before.
    """

    backup_taken_at: datetime
    restored_at: datetime
    skipped: tuple[str, ...]
    reconciled_at: datetime | None = None


def of(place: Place) -> Restored | None:
    """The restore of a town; None for one that never was restored."""
    if not place.restored.exists():
        return None
    found = json.loads(place.restored.read_text(encoding="utf-8"))
    reconciled = found["reconciled_at"]
    return Restored(
        datetime.fromisoformat(found["backup_taken_at"]),
        datetime.fromisoformat(found["restored_at"]),
        tuple(found["skipped"]),
        datetime.fromisoformat(reconciled) if reconciled else None,
    )


def write(place: Place, restored: Restored) -> None:
    """Keep it, as a whole file or none."""
    fresh = place.restored.with_suffix(".new")
    fresh.write_text(json.dumps(asdict(restored), ensure_ascii=False, indent=2, default=_text), encoding="utf-8")
    fresh.replace(place.restored)


def refuse_unreconciled(place: Place) -> None:
    """Raises ``RuntimeError`` for a town that was restored and not yet compared with the outside.

    Started, it would fetch and tell at once, and could not take back what the outside already has.
    """
    restored = of(place)
    if restored is not None and restored.reconciled_at is None:
        raise RuntimeError(
            "控えから戻した町です。起動する前に reconcile で外の記録と照合してください"
            "(記録がまったく手に入らないときだけ reconcile --without-lists)。"
        )


def _text(value: object) -> str:
    if not isinstance(value, datetime):
        raise TypeError(type(value).__name__)
    return value.isoformat()

"""The list as a file for a spreadsheet: UTF-8 with BOM, and no cell that a spreadsheet would run as a formula."""

import csv
import io
from collections.abc import Iterable

from town_kit.clock import JST
from town_notifications.messages import Message

HEADER = ("お知らせ番号", "掲載日", "控え番号", "手続コード", "種類", "題", "理由", "有効期限", "人の番号", "版")
_STARTS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")


def write(messages: Iterable[Message]) -> bytes:
    """The file. It holds no name and no address: the clerk finds the person by 控え番号 or 人の番号."""
    file = io.StringIO(newline="")
    writer = csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow(HEADER)
    for message in messages:
        cells = (
            str(message.id),
            message.listed_on.isoformat() if message.listed_on else "",
            message.reference or "",
            message.procedure_code or "",
            message.kind,
            message.title,
            message.list_reason or "",
            message.valid_until.astimezone(JST).strftime("%Y-%m-%d %H:%M"),
            str(message.person_id or ""),
            str(message.version),
        )
        writer.writerow([harmless(cell) for cell in cells])
    return file.getvalue().encode("utf-8-sig")


def harmless(cell: str) -> str:
    """A cell that stays text: one that begins like a formula gets an apostrophe in front (OWASP CSV injection)."""
    return f"'{cell}" if cell.lstrip(" ").startswith(_STARTS_A_FORMULA) or cell.startswith(("\t", "\r")) else cell

"""ファイル連携: records as CSV by a layout profile (``file.yaml`` beside an adapter). Pure: text in, bytes out.

The detailed technical specification of file linkage (別紙8) is not public, so every choice here is configuration.
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

from town_kit.clock import JST
from town_kit.profiles import Source


class FileLayout(BaseModel):
    """How a business's files look.

    Attributes:
        name_template: placeholders municipality, provider, consumer, linkage, timestamp, serial.
        linkage_ids: 連携ID of each group, by its list name; ``main`` for the main group.
        encoding: character set; what it does not know is refused, never dropped.
        byte_order_mark: whether a UTF-8 file begins with one.
        withdrawal_column: name of the column that says 1 where the application was withdrawn (取下げ), else 0.
        completion_suffix: name of the empty file that says the data file is complete.
        source: official, observed or ours.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name_template: str
    provider: str = Field(pattern=r"^[0-9]{3}$")
    consumer: str = Field(pattern=r"^[0-9]{3}$")
    linkage_ids: dict[str, str]
    encoding: Literal["utf-8", "cp932"] = "utf-8"
    byte_order_mark: bool = False
    newline: Literal["\r\n", "\n"] = "\r\n"
    header: bool = True
    quote_all: bool = True
    withdrawal_column: str = Field("torisage_furagu", pattern=r"^[a-z][a-z0-9_]*$")
    completion_suffix: str = ".done"
    source: Source

    def file_name(self, *, municipality: str, group: str, at: datetime, serial: int) -> str:
        """The name of one file."""
        return self.name_template.format(
            municipality=municipality,
            provider=self.provider,
            consumer=self.consumer,
            linkage=self.linkage_ids[group],
            timestamp=at.astimezone(JST).strftime("%Y%m%d%H%M%S"),
            serial=f"{serial:06d}",
        )


def load_layout(path: Path) -> FileLayout:
    """The layout in a ``file.yaml``."""
    return FileLayout.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))


def csv_file(layout: FileLayout, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> bytes:
    """The bytes of a file with these columns; an absent value is an empty field.

    A value that spreadsheet programs would run as a formula is kept as it is: the reader is a core system.
    """
    text = io.StringIO(newline="")
    quoting: Literal[0, 1] = csv.QUOTE_ALL if layout.quote_all else csv.QUOTE_MINIMAL
    writer = csv.writer(text, lineterminator=layout.newline, quoting=quoting)
    if layout.header:
        writer.writerow(columns)
    for row in rows:
        writer.writerow(["" if row.get(name) is None else str(row[name]) for name in columns])
    encoding = "utf-8-sig" if layout.encoding == "utf-8" and layout.byte_order_mark else layout.encoding
    return text.getvalue().encode(encoding)

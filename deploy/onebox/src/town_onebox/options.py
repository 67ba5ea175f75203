"""The options that ``serve`` and ``promote`` share; what is not given is as the town was served last."""

from typing import Annotated

import typer

from town_kit.settings import Zone
from town_onebox.choices import MOST_WEB_PROCESSES, WEB_PROCESSES

_AS_LAST = "付けなければ前回の起動と同じ"
Zones = Annotated[list[Zone] | None, typer.Option(help=f"この機械で動かすゾーン(繰り返し可)。{_AS_LAST}")]
Host = Annotated[str | None, typer.Option(help=f"gateway が待ち受けるアドレス。{_AS_LAST}(初回は 127.0.0.1)")]
Environment = Annotated[
    str | None, typer.Option(help=f"production(本番)または development(試験・訓練)。{_AS_LAST}(初回は production)")
]
Sandbox = Annotated[bool | None, typer.Option(help=f"模擬の外部を一緒に動かす。{_AS_LAST}(初回は動かさない)")]
WebProcesses = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=MOST_WEB_PROCESSES,
        help=f"要求に答えるプロセスの数(CPU の数まで)。{_AS_LAST}(初回は {WEB_PROCESSES})",
    ),
]

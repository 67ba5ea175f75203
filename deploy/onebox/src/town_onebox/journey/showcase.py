"""What the first page of the town shows of the journey: files that the gateway reads."""

import json
import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from town_kit.clock import JST

REAL = (
    ("署名の検証", "公的個人認証の証明書の連鎖・失効・方針を検証します"),
    ("申請の受付と審査", "状態の表、冪等キー、行ごとの権限、監査記録"),
    ("イベント", "アウトボックスから記録へ、消費側は一度だけ処理"),
    ("個人番号の金庫", "別の処理・別の鍵・別のデータベース役割"),
    ("標準データの引渡し", "庁内データ連携 API とファイル"),
)
SANDBOX = (
    ("マイナポータル", "申請管理の接続仕様は公開されていないため、名前は当方のもの"),
    ("J-LIS 認証局", "試験用の認証局と仮想カード"),
    ("基幹業務システム", "庁内データ連携 API とファイルで標準レコードを取得し、結果を返します"),
    ("FCM・メール・職員認証・監査の外部保管", "ループバック上の実サーバー"),
)


class ShowcaseFiles:
    """The folder the first page is fed from."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def begin(self, mode: str, plan: Sequence[tuple[str, str, str]]) -> None:
        """A new journey with the hops to come: (hop, title, title in English)."""
        about = {
            "mode": mode,
            "plan": [{"hop": hop, "title": title, "title_en": english} for hop, title, english in plan],
            "real": [{"name": name, "detail": detail} for name, detail in REAL],
            "sandbox": [{"name": name, "detail": detail} for name, detail in SANDBOX],
        }
        self._replace("about.json", about)
        self._append({"hop": "start"})

    def hop(self, hop: str, title: str, english: str, *, at: datetime, ms: float, detail: str, ok: bool) -> None:
        """One hop, as it happened."""
        self._append(
            {
                "hop": hop,
                "title": title,
                "title_en": english,
                "at": at.astimezone(JST).isoformat(timespec="milliseconds"),
                "ms": round(ms, 1),
                "detail": detail,
                "ok": ok,
            }
        )

    def end(self, *, ok: bool) -> None:
        """The journey is over."""
        self._append({"hop": "end", "ok": ok})

    def tokens(self, accounts: Sequence[dict[str, Any]]) -> None:
        """The test tokens as they are now."""
        self._replace("tokens.json", list(accounts), mode=0o600)

    def _append(self, entry: dict[str, Any]) -> None:
        with (self._folder / "journey.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry, ensure_ascii=False) + "\n")

    def _replace(self, name: str, content: Any, *, mode: int = 0o644) -> None:
        fresh = self._folder / f"{name}.new"
        fresh.unlink(missing_ok=True)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as file:
            json.dump(content, file, ensure_ascii=False, indent=2)
        fresh.replace(self._folder / name)

"""The report of a comparison (照合の報告書), for the people who run the town."""

import json
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from town_kit.clock import JST
from town_onebox.place import Place

if TYPE_CHECKING:
    from town_onebox.recovery.reconcile import Comparison

LABELS = {
    "application": "失われた申請(町のアプリ・窓口)",
    "portal-application": "取り直していない申請(マイナポータル)",
    "portal-status": "ポータルの表示と町の状態の違い",
    "record": "町にない標準レコード(基幹業務システムにはある)",
    "decision": "町に届いていない決定",
    "delivery": "控えのない送信済みのお知らせ",
}
BY_HAND = (
    "窓口で職員が手で渡した書類・電話(手紙・電話の一覧で済みにしたもの)は、どの記録にもありません。担当課に確認します。",
    "控えのあとに取り消された端末・メールアドレス・ログインは戻っています。利用者に届けてもらいます。",
    "控えのあとで消した個人情報は戻っています。廃棄の記録を見て、もう一度消します。",
)


def text(found: "Comparison") -> str:
    """The report as a page of text."""
    restored = found.restored
    lines = [
        "復元後の照合",
        f"  控えの時点    {restored.backup_taken_at.astimezone(JST):%F %T}",
        f"  戻した日時    {restored.restored_at.astimezone(JST):%F %T}",
        f"  照合の日時    {found.at.astimezone(JST):%F %T}",
        "",
        "1. 二度しないために",
        *(f"  {name}: 外にあって町が知らなかったもの {count} 件を控えた" for name, count in found.recognised.items()),
        f"  イベント {found.replayed} 件を送り直す(済んだものは受け手が捨てる)",
        *(f"  {line}" for line in restored.skipped),
        "",
        f"2. 足りないもの({len(found.missing)} 件)",
    ]
    for kind, members in groupby(sorted(found.missing, key=lambda one: (one.kind, one.told)), lambda one: one.kind):
        named = list(members)
        lines.append(f"  {LABELS.get(kind, kind)}: {len(named)} 件")
        for told, same in groupby(named, lambda one: one.told):
            lines.append(f"    {told}")
            lines += [f"      ・{one.name}" for one in same]
    lines += [f"  監査記録({name}): 外に控えた先頭より {count} 件短い" for name, count in found.audit_lost.items()]
    lines += ["", "3. 人が確かめること", *(f"  ・{line}" for line in BY_HAND)]
    return "\n".join(lines)


def write(place: Place, found: "Comparison") -> Path:
    """Keep the report as text and as JSON; the path of the text."""
    place.reports.mkdir(exist_ok=True, mode=0o700)
    path = place.reports / f"reconcile-{found.at:%Y%m%dT%H%M%S}.txt"
    path.write_text(text(found) + "\n", encoding="utf-8")
    document = json.dumps(asdict(found), ensure_ascii=False, indent=2, default=str)
    path.with_suffix(".json").write_text(document, encoding="utf-8")
    return path

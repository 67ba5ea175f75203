"""Wire models of templates."""

from pydantic import Field

from town_kit.schemas import Output


class KindView(Output):
    """お知らせの種類。"""

    kind: str
    version: str
    notify: bool = Field(description="この種類のお知らせを送るか")
    valid_days: int = Field(description="お知らせの有効日数")
    unreached: str = Field(description="届かないときの扱い: letters（郵送）, phone（電話）, expire（期限切れ）")


class PreviewView(Output):
    """文例を実際の形で見たもの。"""

    kind: str
    language: str
    version: str = Field(description="使われた文例の版。procedure: は手続のもの、town: は町共通のもの")
    title: str
    body: str
    push_title: str = Field(description="プッシュ通知の題。個人の情報は入らない")
    push_body: str

"""The request of 住登外者宛名番号付番, item by item, as the published specification (第2.0版) lists it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

SPECIFICATION = "地方公共団体情報システム共通機能標準仕様書 住登外者宛名番号付番API仕様 第2.0版"
REQUEST_ID = "app_submit/v10/jutogaishaatenabangofuban_R01"
TITLE = "住登外者宛名番号付番"


@dataclass(frozen=True, slots=True)
class RequestItem:
    """One parameter: its name, 項目名, データ型, 桁数, and whether it always appears (◎).

    ``fixed``: the value has exactly that many digits; which items are so is read off the specification's examples.
    """

    name: str
    label: str
    kind: Literal["X", "N", "DATE", "TIME"]
    digits: int
    always: bool = False
    fixed: bool = False


ITEMS: tuple[RequestItem, ...] = (
    RequestItem("shorikubun", "処理区分", "X", 1, always=True, fixed=True),
    RequestItem("shikuchosonkodo", "市区町村コード", "X", 6, always=True, fixed=True),
    RequestItem("atenabango", "宛名番号", "X", 15),
    RequestItem("kojinbango", "個人番号", "X", 12, fixed=True),
    RequestItem("shimei", "氏名", "N", 100),
    RequestItem("uji_nihonjin", "氏_日本人", "N", 50),
    RequestItem("na_nihonjin", "名_日本人", "N", 50),
    RequestItem("shimei_gaikokujinromaji", "氏名_外国人ローマ字", "N", 100),
    RequestItem("shimei_gaikokujinkanji", "氏名_外国人漢字", "N", 100),
    RequestItem("shimei_furigana", "氏名_フリガナ", "N", 100),
    RequestItem("uji_nihonjin_furigana", "氏_日本人_フリガナ", "N", 50),
    RequestItem("na_nihonjin_furigana", "名_日本人_フリガナ", "N", 50),
    RequestItem("tsusho", "通称", "N", 100),
    RequestItem("tsusho_furigana", "通称_フリガナ", "N", 100),
    RequestItem("tsusho_furiganakakuninjokyo", "通称_フリガナ確認状況", "X", 1, fixed=True),
    RequestItem("seibetsu", "性別", "X", 1, fixed=True),
    RequestItem("seinengappi", "生年月日", "DATE", 10),
    RequestItem("seinengappi_fushofuragu", "生年月日_不詳フラグ", "X", 1, fixed=True),
    RequestItem("seinengappi_fushohyoki", "生年月日_不詳表記", "N", 72),
    RequestItem("jusho_shikuchosonkodo", "住所_市区町村コード", "X", 6, fixed=True),
    RequestItem("jusho_choazakodo", "住所_町字コード", "X", 7, fixed=True),
    RequestItem("shiteitoshi_gyoseikutokodo", "指定都市_行政区等コード", "X", 12),
    RequestItem("jusho_todofuken", "住所_都道府県", "N", 4),
    RequestItem("jusho_shikugunchosonmei", "住所_市区郡町村名", "N", 12),
    RequestItem("jusho_choaza", "住所_町字", "N", 120),
    RequestItem("jusho_banchigohyoki", "住所_番地号表記", "N", 50),
    RequestItem("jusho_katagaki", "住所_方書", "N", 300),
    RequestItem("jusho_katagaki_furigana", "住所_方書_フリガナ", "N", 300),
    RequestItem("jusho_yubinbango", "住所_郵便番号", "X", 7, fixed=True),
    RequestItem("jusho_kokumeikodo", "住所_国名コード", "X", 3, fixed=True),
    RequestItem("jusho_kokumeito", "住所_国名等", "N", 100),
    RequestItem("jusho_kokugaijusho", "住所_国外住所", "N", 300),
    RequestItem("gyomuid", "業務ID", "X", 3, fixed=True),
    RequestItem("dokujishisakushisutemutoid", "独自施策システム等ID", "X", 3, fixed=True),
    RequestItem("nayosemotofuragu", "名寄せ元フラグ", "X", 1, always=True, fixed=True),
    RequestItem("nayosesakiatenabango", "名寄せ先宛名番号", "X", 15),
    RequestItem("tagyomusanshofukafuragu", "他業務参照不可フラグ", "X", 1, always=True, fixed=True),
    RequestItem("sosashaid", "操作者ID", "X", 10, always=True),
    RequestItem("sosanengappi", "操作年月日", "DATE", 10, always=True),
    RequestItem("sosajikoku", "操作時刻", "TIME", 8, always=True),
)
BY_NAME: Mapping[str, RequestItem] = {item.name: item for item in ITEMS}

CHOICES: Mapping[str, frozenset[str]] = {
    "shorikubun": frozenset("012"),
    "seinengappi_fushofuragu": frozenset("01"),
    "tsusho_furiganakakuninjokyo": frozenset("01"),
    "nayosemotofuragu": frozenset("01"),
    "tagyomusanshofukafuragu": frozenset("01"),
}
DIGITS_ONLY = frozenset({"shikuchosonkodo", "kojinbango", "jusho_shikuchosonkodo", "jusho_yubinbango"})
DEFAULTS: Mapping[str, str] = {"gyomuid": "000", "dokujishisakushisutemutoid": "000"}

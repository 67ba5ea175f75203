"""付番: what is wrong with a request is said in the specification's codes and never repeats a value."""

from typing import Any

import pytest

from town_standardization.addressees.numbering import NumberingRequest, check

GOOD = {
    "shorikubun": "0",
    "shikuchosonkodo": "174611",
    "shimei": "佐藤　一郎",
    "shimei_furigana": "サトウ　イチロウ",
    "seibetsu": "1",
    "seinengappi": "1964-07-01",
    "jusho_todofuken": "東京都",
    "jusho_shikugunchosonmei": "千代田区",
    "jusho_choaza": "霞が関二丁目",
    "jusho_banchigohyoki": "１番６号",
    "jusho_yubinbango": "1000014",
    "nayosemotofuragu": "0",
    "tagyomusanshofukafuragu": "0",
    "sosashaid": "123456",
    "sosanengappi": "2026-10-05",
    "sosajikoku": "09:00:00",
}


def codes(**changes: Any) -> list[tuple[str, str]]:
    body = {name: value for name, value in (GOOD | changes).items() if value is not None}
    found = check(body)
    return [] if isinstance(found, NumberingRequest) else [(error.code, error.message) for error in found]


def test_the_example_of_the_specification_is_right() -> None:
    found = check(GOOD)
    assert isinstance(found, NumberingRequest)
    assert found.values["gyomuid"] == found.values["dokujishisakushisutemutoid"] == "000"
    assert found.number is None
    assert codes(sosajikoku="09:00") == []  # seconds may be left out


@pytest.mark.parametrize(
    ("changes", "code", "message"),
    [
        ({"sosashaid": None}, "E0001", "操作者IDが設定されていません。"),
        ({"sosashaid": ""}, "E0001", "操作者IDが設定されていません。"),
        ({"shimei": "ｻﾄｳ"}, "E0002", "氏名は全角文字で設定してください。"),
        ({"sosashaid": "１２"}, "E0002", "操作者IDは半角文字で設定してください。"),
        ({"shimei": 7}, "E0002", "氏名は文字列で設定してください。"),
        ({"shorikubun": "3"}, "E0002", "処理区分はコード値で設定してください。"),
        ({"sosanengappi": "2026-02-30"}, "E0002", "操作年月日はYYYY-MM-DDの形式で設定してください。"),
        ({"sosajikoku": "25:00:00"}, "E0002", "操作時刻はHH:MM:SSの形式で設定してください。"),
        ({"jusho_yubinbango": "100001"}, "E0003", "住所_郵便番号は7桁で設定してください。"),
        ({"shikuchosonkodo": "17461"}, "E0003", "市区町村コードは6桁で設定してください。"),
        ({"shimei": "あ" * 101}, "E0003", "氏名は100桁以内で設定してください。"),
        ({"shorikubun": "1"}, "E0004", "処理区分が設定されている場合、宛名番号は設定必須です。"),
        ({"nayosemotofuragu": "1"}, "E0004", "名寄せ元フラグが設定されている場合、名寄せ先宛名番号は設定必須です。"),
        (
            {"seinengappi_fushofuragu": "1"},
            "E0004",
            "生年月日_不詳フラグが設定されている場合、生年月日_不詳表記は設定必須です。",
        ),
    ],
)
def test_a_wrong_item_has_its_code(changes: dict[str, Any], code: str, message: str) -> None:
    assert codes(**changes) == [(code, message)]


def test_everything_wrong_is_told_at_once() -> None:
    assert len(codes(shimei="a", sosashaid=None, jusho_yubinbango="1")) == 3


def test_a_wrong_my_number_is_not_repeated() -> None:
    [(code, message)] = codes(kojinbango="123456789019")
    assert code == "E0002"
    assert "123456789019" not in message


def test_an_unknown_birth_date_is_kept_as_written() -> None:
    found = check(
        GOOD | {"seinengappi": "1964-00-00", "seinengappi_fushofuragu": "1", "seinengappi_fushohyoki": "昭和３９年頃"}
    )
    assert isinstance(found, NumberingRequest)
    assert found.values["seinengappi"] == "1964-00-00"
    assert "birth_date" not in found.attributes()


def test_a_body_that_is_no_object_is_refused() -> None:
    found = check([GOOD])
    assert not isinstance(found, NumberingRequest)

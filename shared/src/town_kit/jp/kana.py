"""Readings (フリガナ): one form to store, one for machines that know half width only, one to compare by."""

import jaconv


def katakana(text: str) -> str:
    """``text`` in full-width katakana: ひらがな and 半角カナ are converted, digits and letters become full width."""
    return str(jaconv.hira2kata(jaconv.h2z(text, kana=True, ascii=True, digit=True)))


def hiragana(text: str) -> str:
    """``text`` in hiragana, from either kana of either width."""
    return str(jaconv.kata2hira(katakana(text)))


def half_width(text: str) -> str:
    """``text`` in 半角カナ with ASCII letters and digits; a voiced kana becomes two characters."""
    return str(jaconv.z2h(katakana(text), kana=True, ascii=True, digit=True))


def comparison_key(text: str) -> str:
    """What two writings of one reading share: large katakana without blanks, dots and long-vowel marks."""
    return "".join(c for c in str(jaconv.enlarge_smallkana(katakana(text))) if c not in "　・ー－ ")

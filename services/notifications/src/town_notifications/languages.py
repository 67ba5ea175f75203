"""The languages the town speaks to its residents."""

from enum import StrEnum


class Language(StrEnum):
    """A language a person can choose; ``ja-simple`` is やさしい日本語."""

    JA = "ja"
    JA_SIMPLE = "ja-simple"
    EN = "en"

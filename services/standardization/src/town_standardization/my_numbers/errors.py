"""Refusals of the vault."""

from town_kit.problems import Problem


class NumberConflict(Problem, slug="my-number-conflict", status=409, title="個人番号と宛名番号の対応が一致しません"):
    """One number stands for one addressee; the two given belong to different people."""

"""Refusals of the vault."""

from town_kit.problems import Problem


class NumberConflict(
    Problem,
    slug="my-number-conflict",
    status=409,
    title="個人番号と宛名番号の対応が一致しません",
    next_step="個人番号と宛名番号を本人確認書類で確かめ、正しい組で登録し直してください。",
):
    """One number stands for one addressee; the two given belong to different people."""

"""Refusals of this slice."""

from town_kit.problems import Problem


class PreviewOutdated(
    Problem,
    slug="preview-outdated",
    status=409,
    title="確認した内容と違います",
    next_step="もう一度プレビューで内容と届く先を確かめてから、配信してください。",
):
    """What was to be sent is not what was previewed."""

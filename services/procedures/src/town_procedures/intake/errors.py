"""Reasons of this slice for putting a package aside; they are stored, not answered."""

from town_kit.problems import Problem


class WrongMunicipality(
    Problem,
    slug="wrong-municipality",
    status=422,
    title="別の市区町村あての申請データです",
    next_step="申請先の市区町村を確かめ、そちらの手続きから申請してください。",
):
    """The 団体コード in the signed member is not this town's."""

"""Refusals of 封印アカウント."""

from town_kit.problems import Problem


class SealedStaffAccountClosed(
    Problem,
    slug="sealed-staff-account-closed",
    status=403,
    title="封印アカウントはいま使えません",
    next_step="いつもの職員認証でログインしてください。使えないときは、システム担当に開放を依頼してください。",
):
    """The staff directory answers, or has not been away for long enough, and nobody opened the account."""


class SealedStaffAccountLocked(
    Problem,
    slug="sealed-staff-account-locked",
    status=403,
    title="封印アカウントは施錠されています",
    next_step="時間をおくか、別の封筒を使ってください。",
):
    """Too many tries; somebody must unlock it with the command of `identity`."""

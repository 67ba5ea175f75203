"""Refusals of callbacks."""

from town_kit.problems import Problem


class CallbackUrlRefused(
    Problem, slug="callback-url-refused", status=422, title="この通知先のアドレスは登録できません"
):
    """The URL is not https, not on a host of the client's registration, or leads to an address that is not public."""


class TooManyCallbacks(Problem, slug="too-many-callbacks", status=409, title="通知先の登録が上限に達しています"):
    """The client has as many callbacks as it may have."""

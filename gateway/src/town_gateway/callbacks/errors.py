"""Refusals of callbacks."""

from town_kit.problems import Problem


class CallbackUrlRefused(
    Problem,
    slug="callback-url-refused",
    status=422,
    title="この通知先のアドレスは登録できません",
    next_step="登録したホストの https のアドレスを指定してください。ホストの追加は町に申し出てください。",
):
    """The URL is not https, not on a host of the client's registration, or leads to an address that is not public."""


class TooManyCallbacks(
    Problem,
    slug="too-many-callbacks",
    status=409,
    title="通知先の登録が上限に達しています",
    next_step="使っていない通知先を消してから、もう一度登録してください。",
):
    """The client has as many callbacks as it may have."""

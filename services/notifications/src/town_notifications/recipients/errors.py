"""Refusals of this slice."""

from town_kit.problems import Problem


class TooManyRegistrations(
    Problem,
    slug="too-many-registrations",
    status=409,
    title="登録できる数を超えています",
    next_step="使っていない登録を消してから、もう一度登録してください。",
):
    """The person has as many devices, contact points or codes as she may."""

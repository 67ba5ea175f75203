"""Refusals of data linkage."""

from town_kit.problems import Problem


class DecidedOtherwise(Problem, slug="decided-otherwise", status=409, title="別の決定がすでに届いています"):
    """A record has one decision; another one is a correction, which the town's office makes."""


class DecidedByStaff(Problem, slug="decided-by-staff", status=409, title="この手続きは町の職員が決定します"):
    """The procedure folder says that staff decide, not the core system."""

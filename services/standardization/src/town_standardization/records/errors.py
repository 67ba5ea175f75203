"""Refusals of data linkage."""

from town_kit.problems import Problem


class DecidedOtherwise(Problem, slug="decided-otherwise", status=409, title="別の決定がすでに届いています"):
    """A record has one decision; another one is a correction, which the town's office makes."""


class ApplicationWithdrawn(Problem, slug="application-withdrawn", status=409, title="取り下げられた申請です"):
    """The applicant has taken it back; the record's last 履歴番号 says so."""


class RecordSuperseded(Problem, slug="record-superseded", status=409, title="新しい履歴番号の標準レコードがあります"):
    """Other content has taken the place of what was decided on; the decision belongs to the last 履歴番号."""


class DecidedByStaff(Problem, slug="decided-by-staff", status=409, title="この手続きは町の職員が決定します"):
    """The procedure folder says that staff decide, not the core system."""

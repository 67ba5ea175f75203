"""Refusals of data linkage."""

from town_kit.problems import Problem


class DecidedOtherwise(
    Problem,
    slug="decided-otherwise",
    status=409,
    title="別の決定がすでに届いています",
    next_step="決定を訂正するときは、町の担当課に連絡してください。",
):
    """A record has one decision; another one is a correction, which the town's office makes."""


class ApplicationWithdrawn(
    Problem,
    slug="application-withdrawn",
    status=409,
    title="取り下げられた申請です",
    next_step="決定は要りません。標準レコードを取り直し、取下げの履歴番号を受領してください。",
):
    """The applicant has taken it back; the record's last 履歴番号 says so."""


class RecordSuperseded(
    Problem,
    slug="record-superseded",
    status=409,
    title="新しい履歴番号の標準レコードがあります",
    next_step="標準レコードを取り直し、新しい履歴番号の内容で決定してください。",
):
    """Other content has taken the place of what was decided on; the decision belongs to the last 履歴番号."""


class DecidedByStaff(
    Problem,
    slug="decided-by-staff",
    status=409,
    title="この手続きは町の職員が決定します",
    next_step="決定の内容は、町の担当課に連絡してください。",
):
    """The procedure folder says that staff decide, not the core system."""

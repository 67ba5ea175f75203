"""Refusals of this slice."""

from town_kit.problems import Problem


class ProcedureUnknown(
    Problem,
    slug="procedure-unknown",
    status=422,
    title="この手続きは受け付けていません",
    next_step="受け付けている手続きの一覧から選び直してください。",
):
    """No procedure folder has the code named, or it is not open to this channel."""


class DecidedByCoreSystem(
    Problem,
    slug="decided-by-core-system",
    status=409,
    title="この手続きは基幹業務システムで決定します",
    next_step="決定は基幹業務システムで入力してください。",
):
    """The folder says that the core system decides; staff enter the decision there, not here."""


class DraftMissing(
    Problem,
    slug="draft-missing",
    status=409,
    title="起案がありません",
    next_step="先に担当者が起案し、起案した人とは別の職員が決裁してください。",
):
    """The folder asks for two people: 起案 by one officer, then 決裁 by another."""


class DraftDiffers(
    Problem,
    slug="draft-differs",
    status=409,
    title="起案と違う決定です",
    next_step="起案のとおりに決裁するか、起案をし直して別の職員が決裁してください。",
):
    """An officer decides (決裁) what was drafted; who thinks otherwise drafts anew, and another decides."""


class SameOfficer(
    Problem,
    slug="same-officer",
    status=409,
    title="起案した人と別の人が決裁してください",
    next_step="起案した人とは別の職員が決裁してください。",
):
    """A decision drafted by one officer needs another to approve it."""


class RevisionNeedsClerk(
    Problem,
    slug="revision-needs-clerk",
    status=409,
    title="この受付番号の申請は審査に入っています",
    next_step="内容を変えるときは、担当窓口にご連絡ください。",
):
    """Other content came under a receipt number already accepted; it waits for a clerk."""


class DocumentForVault(
    Problem,
    slug="document-for-vault",
    status=409,
    title="この書類は個人番号利用事務系だけで開けます",
    next_step="この書類は、担当窓口で確かめてください。",
):
    """A My Number may show on the file, so it was encrypted to the vault; this service cannot read it."""

"""添付書類 — files uploaded before an application names them."""

from town_procedures.attachments.models import Attachment
from town_procedures.attachments.service import find, mark_used

__all__ = ["Attachment", "find", "mark_used"]

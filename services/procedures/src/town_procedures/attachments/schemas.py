"""Wire models of attachments."""

from datetime import datetime
from uuid import UUID

from town_kit.schemas import Output


class AttachmentView(Output):
    """アップロードした添付書類。24時間以内に申請で使わないと消えます。"""

    id: UUID
    kind: str
    media_type: str
    size: int
    sha256: str
    uploaded_at: datetime

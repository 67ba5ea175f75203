"""Wire models of residents' sessions."""

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import Field

from town_identity.resident_sessions.models import ResidentSession
from town_identity.resident_sessions.service import SessionTokens
from town_kit.schemas import FreeText, Input, Output

Base64 = Annotated[str, Field(max_length=24_000, pattern=r"^[A-Za-z0-9+/]+={0,2}$")]


class LoginRequest(Input):
    """ログインの答え。"""

    challenge_id: UUID = Field(description="ログインの問いの識別子")
    certificate: Base64 = Field(description="利用者証明用電子証明書（DER を Base64）")
    signature: Base64 = Field(description="問いの内容への署名（Base64）")
    device_name: Annotated[FreeText, Field(max_length=100)] = Field("", description="端末の呼び名（例 花子のスマホ）")


class SessionView(Output):
    """ログインの結果。更新用トークンは一度だけ使え、使うたびに新しくなります。"""

    session_id: UUID
    person_id: UUID
    access_token: str
    token_type: Literal["Bearer"]
    expires_in: int = Field(description="アクセストークンの残り秒数")
    scope: str
    refresh_token: str
    refresh_expires_at: datetime

    @classmethod
    def of(cls, tokens: SessionTokens) -> Self:
        """The view of new tokens."""
        return cls(
            session_id=tokens.session.id,
            person_id=tokens.session.person_id,
            access_token=tokens.access.token,
            token_type="Bearer",  # noqa: S106 - the name of a scheme
            expires_in=tokens.access.expires_in,
            scope=tokens.access.scope,
            refresh_token=tokens.refresh_token,
            refresh_expires_at=tokens.refresh_expires_at,
        )


class DeviceView(Output):
    """ログインしている端末。"""

    id: UUID
    device_name: str
    client_id: str
    logged_in_at: datetime
    last_used_at: datetime
    current: bool = Field(description="いま使っている端末")

    @classmethod
    def of(cls, session: ResidentSession, current: str | None) -> Self:
        """The view of a device."""
        return cls(
            id=session.id,
            device_name=session.device_name,
            client_id=session.client_id,
            logged_in_at=session.created_at,
            last_used_at=session.last_used_at,
            current=str(session.id) == current,
        )

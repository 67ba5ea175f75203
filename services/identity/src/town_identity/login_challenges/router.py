"""HTTP to use cases and back."""

import base64
from datetime import datetime
from uuid import UUID

from pydantic import Field

from town_identity.login_challenges import service
from town_identity.login_challenges.domain import to_be_signed
from town_identity.ports import Wired, act_as_service
from town_kit.problems import FieldError, ValidationFailed
from town_kit.routing import TownRouter, Tx
from town_kit.schemas import Input, Output

router = TownRouter(prefix="/v1/login-challenges", tags=["ログイン"])


class ChallengeRequest(Input):
    """ログインを始める。"""

    client_id: str = Field("resident-app", max_length=64, description="アプリの識別子")


class ChallengeView(Output):
    """カードで署名する内容。"""

    challenge_id: UUID
    to_be_signed: str = Field(description="利用者証明用電子証明書で署名する内容（Base64）")
    expires_at: datetime = Field(description="この時刻まで、一度だけ使えます")


@router.post("", scope=None, keyless="a challenge that nobody answers changes nothing", status_code=201, max_body=4096)
async def create_challenge(body: ChallengeRequest, tx: Tx, wired: Wired) -> ChallengeView:
    """ログインの問いを作る。返された内容に利用者証明用電子証明書（4桁の暗証番号）で署名してください。"""
    origin = wired.settings.resident_apps.get(body.client_id)
    if origin is None:
        raise ValidationFailed(
            "登録されたアプリから利用してください。",
            errors=[FieldError("/client_id", "unknown-app", "登録されていないアプリです。")],
        )
    await act_as_service(tx)
    challenge = await service.issue(tx, body.client_id, wired.clock.now())
    content = to_be_signed(wired.settings.login_domain, origin, challenge.nonce, challenge.issued_at)
    return ChallengeView(
        challenge_id=challenge.id,
        to_be_signed=base64.b64encode(content).decode(),
        expires_at=challenge.expires_at,
    )

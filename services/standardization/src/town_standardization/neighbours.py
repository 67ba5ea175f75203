"""The services standardization calls, with a token of its own: procedures for applications, identity for persons."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from town_kit.auth import ServiceTokens
from town_kit.http import Breaker, Outbound, Retry, outbound
from town_kit.problems import DependencyUnavailable


def neighbour(name: str, address: str, tokens: ServiceTokens) -> Outbound:
    """The client of a neighbouring service."""
    return outbound(
        name, address, retry=Retry(attempts=2), breaker=Breaker(failures=5, pause=5), credentials=tokens.headers
    )


class Procedures:
    """procedures, which holds the applications."""

    def __init__(self, client: Outbound) -> None:
        self.client = client

    async def hand_over(self, application_id: UUID) -> Mapping[str, Any] | None:
        """The hand-over document of an application, or None where there is none any more.

        Raises:
            DependencyUnavailable: procedures does not answer, or refuses.
        """
        answer = await self.client.get(f"/v1/applications/{application_id}/hand-over")
        if answer.status_code == 404:
            return None
        if answer.status_code != 200:
            raise DependencyUnavailable("申請の内容を受け取れません。", retry_after=5)
        found: Mapping[str, Any] = answer.json()
        return found


class Identity:
    """identity, which knows whose 宛名番号 is whose."""

    def __init__(self, client: Outbound) -> None:
        self.client = client

    async def addressee_number(self, person_id: UUID) -> str | None:
        """The 宛名番号 of a person, or None while it is not known.

        Raises:
            DependencyUnavailable: identity does not answer, or refuses.
        """
        answer = await self.client.get(f"/v1/persons/{person_id}")
        if answer.status_code == 404:
            return None
        if answer.status_code != 200:
            raise DependencyUnavailable("本人の登録を確認できません。", retry_after=5)
        found: str | None = answer.json()["addressee_number"]
        return found

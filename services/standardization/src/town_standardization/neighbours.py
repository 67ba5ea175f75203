"""The services standardization calls, with a token of its own: procedures for applications, identity for persons."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from town_kit.auth import ServiceTokens
from town_kit.breaker import Breaker
from town_kit.http import Outbound, Retry, outbound
from town_kit.ids import new_id
from town_kit.problems import DependencyUnavailable

REFUSED = "refused"
_AWAY = "{what}を受け取れません。数分後にもう一度お試しください。続くときはシステム担当に連絡してください。"


def neighbour(name: str, address: str, tokens: ServiceTokens) -> Outbound:
    """The client of a neighbouring service."""
    return outbound(name, address, retry=Retry(attempts=2), breaker=Breaker(failures=5, pause=5), credentials=tokens)


class Procedures:
    """procedures, which holds the applications."""

    def __init__(self, client: Outbound) -> None:
        self.client = client

    async def hand_over(self, application_id: UUID) -> Mapping[str, Any] | None:
        """The hand-over document of an application, or None where there is none any more.

        Raises:
            DependencyUnavailable: procedures does not answer, or refuses.
        """
        return await self._read(f"/v1/applications/{application_id}/hand-over")

    async def sealed_texts(self, application_id: UUID) -> Mapping[str, Any] | None:
        """The free texts of an application that are encrypted to the vault, or None where there is no such application.

        Raises:
            DependencyUnavailable: procedures does not answer, or refuses.
        """
        return await self._read(f"/v1/applications/{application_id}/sealed-texts")

    async def _read(self, path: str) -> Mapping[str, Any] | None:
        answer = await self.client.get(path)
        if answer.status_code == 404:
            return None
        if answer.status_code != 200:
            raise DependencyUnavailable(_AWAY.format(what="申請の内容"), retry_after=5)
        found: Mapping[str, Any] = answer.json()
        return found


class Packages:
    """procedures, which keeps what the portal sent and takes in what the vault has read of it."""

    def __init__(self, client: Outbound) -> None:
        self.client = client

    @asynccontextmanager
    async def raw_package(self, raw_package_id: UUID) -> AsyncIterator[AsyncIterator[bytes]]:
        """The bytes of a raw package as they lie.

        Raises:
            DependencyUnavailable: procedures does not answer, or refuses.
        """
        async with self.client.stream("GET", f"/v1/raw-packages/{raw_package_id}") as answer:
            if answer.status_code != 200:
                raise DependencyUnavailable(_AWAY.format(what="申請データの原本"), retry_after=5)
            yield answer.aiter_bytes()

    async def procedure_of(self, portal_id: str) -> tuple[str, Mapping[str, Any]] | None:
        """Code and form of the procedure with this number at the portal.

        Raises:
            DependencyUnavailable: procedures does not answer, or refuses.
        """
        for one in await self._read("/v1/procedures"):
            if portal_id in one["mynaportal_procedure_ids"]:
                return str(one["code"]), (await self._read(f"/v1/procedures/{one['code']}"))["form"]
        return None

    async def _read(self, path: str) -> Any:
        answer = await self.client.get(path)
        if answer.status_code != 200:
            raise DependencyUnavailable(_AWAY.format(what="手続きの様式"), retry_after=5)
        return answer.json()

    async def hand_in(self, body: Mapping[str, Any]) -> str | None:
        """Hand a released package in. A repeat is recognised by the package, so each try has a key of its own.

        Raises:
            DependencyUnavailable: procedures does not answer.
        """
        key = {"Idempotency-Key": str(new_id())}
        answer = await self.client.post("/v1/intake/released", json=dict(body), headers=key)
        if answer.status_code in {404, 409}:
            return None
        return str(answer.json()["outcome"]) if answer.status_code == 202 else REFUSED


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
            raise DependencyUnavailable(_AWAY.format(what="本人の登録"), retry_after=5)
        found: str | None = answer.json()["addressee_number"]
        return found

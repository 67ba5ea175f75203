"""The copies of the procedures' texts, read back as checked templates."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from town_notifications.languages import Language
from town_notifications.templates.domain import Kind, Rendered, Text, render
from town_notifications.templates.models import ProcedureTexts


@dataclass(frozen=True, slots=True)
class Procedure:
    """What a procedure folder says to residents: its title and its own texts, by kind and language."""

    version: str
    titles: Mapping[str, str]
    texts: Mapping[str, Mapping[Language, Text]]

    def render(self, kind: Kind, language: Language, values: Mapping[str, str]) -> Rendered:
        """The folder's text for this kind and language, else the town-wide one in the same language."""
        own = self.texts.get(kind.name, {}).get(language)
        title = self.titles.get(language) or self.titles.get(Language.JA) or values["procedure"]
        filled = {**values, "procedure": title, "next_step": kind.next_steps[language]}
        if own is not None:
            return render(own, filled, language=language, version=f"procedure:{self.version}")
        return render(kind.texts[language], filled, language=language, version=f"town:{kind.version}")


UNKNOWN = Procedure(version="", titles={}, texts={})


async def procedure(session: AsyncSession, code: str) -> Procedure:
    """What is known of a procedure; town-wide texts serve for one that was not published yet.

    Read once in a transaction, for a consumer tells many events of one procedure in it.
    """
    known: dict[str, Procedure] = session.info.setdefault("procedure_texts", {})
    if code not in known:
        known[code] = await _read(session, code)
    return known[code]


async def _read(session: AsyncSession, code: str) -> Procedure:
    row = (
        await session.execute(select(ProcedureTexts).where(ProcedureTexts.procedure_code == code))
    ).scalar_one_or_none()
    if row is None:
        return UNKNOWN
    texts = {
        f"application.{fact}": {Language(code): Text(**text) for code, text in by_language.items()}
        for fact, by_language in row.texts.items()
    }
    return Procedure(version=row.version, titles=row.titles, texts=texts)

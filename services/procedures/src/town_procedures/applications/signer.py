"""署名した人: what a verified signature tells, how much of it is kept, and where the application says otherwise.

基本4情報 of the certificate are compared with the answers and then forgotten; masks, flags and the birth date stay
(the date, because null says that an age must not be concluded from it). A difference is for a clerk to look at
(転居, 改氏名, 誤記); it never refuses.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any
from uuid import UUID

from town_kit.jp import addresses, characters, kana
from town_procedures.applications.domain import Flag, PartyRole
from town_procedures.catalogue import Procedure, find

# The forms' codes for 性別, as identity names them; other codes of a certificate have no certain meaning.
SEX_CODES = {"male": "1", "female": "2"}
_SUBSTITUTED = "\ufffc"  # stands for a 代替文字 while texts are compared; no name and no address holds it


@dataclass(frozen=True, slots=True)
class Holder:
    """氏名・性別・住所 of the certificate, held in memory only; the repr shows none of it.

    ``sex`` is ``male``, ``female`` or ``other``.
    """

    name: str = field(repr=False)
    sex: str = field(repr=False)
    address: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SerialStatus:
    """A certificate at the moment of receipt: ``good``, ``revoked`` or ``unknown``; and whether revoked since."""

    revocation: str
    revoked_later: bool


@dataclass(frozen=True, slots=True)
class SignatureFacts:
    """What identity said of a signature; neither digest nor CMS is kept.

    ``revocation`` is ``good`` or ``unknown``; with unknown the application waits as ``pending_verification``.
    ``birth`` is null where the certificate does not state a whole date. ``*_substitutes`` hold one ``0``/``1`` per
    character of 氏名 and 住所, ``1`` for 代替文字.
    """

    person_id: UUID
    issuer: str
    serial_reference: str
    generation: str
    revocation: str
    revoked_later: bool
    checked_at: str
    birth: date | None = field(repr=False)
    name_substitutes: str
    address_substitutes: str
    holder: Holder


def kept(signature: SignatureFacts | None) -> dict[str, Any] | None:
    """What an application keeps of its signature: everything but the holder's name, sex and address."""
    if signature is None:
        return None
    birth = signature.birth.isoformat() if signature.birth else None
    document = {**asdict(signature), "person_id": str(signature.person_id), "birth": birth}
    del document["holder"]
    return document


def flags_of(
    signature: SignatureFacts | None, procedure: Procedure, answers: Mapping[str, Any], on: date
) -> list[Flag]:
    """What a clerk should look at: what the certificate does not state, and what it states otherwise."""
    if signature is None:
        return []
    found = {
        Flag.BIRTH_UNKNOWN: signature.birth is None,
        Flag.NAME_SUBSTITUTED: "1" in signature.name_substitutes,
        Flag.ADDRESS_SUBSTITUTED: "1" in signature.address_substitutes,
        Flag.REVOKED_LATER: signature.revoked_later,
        **_differences(signature, _filer(procedure, answers, on)),
    }
    return [flag for flag, holds in found.items() if holds]


def _filer(procedure: Procedure, answers: Mapping[str, Any], on: date) -> Mapping[str, Any]:
    """What the answers say about whoever files, and so signs: the proxy (代理・代行) where there is one."""
    places: dict[str, str] = {rule.role: rule.pointer for rule in reversed(procedure.parties(answers, on))}
    pointer = places.get(PartyRole.PROXY) or places.get(PartyRole.APPLICANT)
    found = [value for _, value in find(answers, pointer)] if pointer else []
    return found[0] if found and isinstance(found[0], Mapping) else {}


def _differences(signature: SignatureFacts, written: Mapping[str, Any]) -> dict[Flag, bool]:
    """Where the two say different things; what one of them does not say is no difference."""
    holder = signature.holder
    name, birth, sex, address = (written.get(item) for item in ("name", "birth_date", "sex", "address"))
    return {
        Flag.NAME_DIFFERS: bool(name) and not _alike(holder.name, signature.name_substitutes, str(name)),
        Flag.BIRTH_DIFFERS: bool(birth) and signature.birth is not None and birth != signature.birth.isoformat(),
        Flag.SEX_DIFFERS: bool(sex) and holder.sex in SEX_CODES and sex != SEX_CODES[holder.sex],
        Flag.ADDRESS_DIFFERS: bool(address)
        and not any(
            _alike(holder.address, signature.address_substitutes, one, addresses.comparison_key)
            for one in _lines(address)
        ),
    }


def _lines(address: Any) -> list[str]:
    """An address of a form in one line, with its 方書 and without: 住民票 need not name the building."""
    if not isinstance(address, Mapping):
        return [str(address)]
    parts = [str(address.get(part) or "") for part in ("prefecture", "municipality", "town", "block")]
    return ["".join([*parts, str(address.get("building") or "")]), "".join(parts)]


def _name_key(text: str) -> str:
    return kana.comparison_key(characters.comparison_key(text))


def _alike(stated: str, substitutes: str, written: str, key: Callable[[str], str] = _name_key) -> bool:
    """Whether two writings are of one text; any character may stand where ``stated`` shows another (代替文字)."""
    if "1" not in substitutes:
        return key(stated) == key(written)
    shown = characters.characters(stated)
    if len(shown) != len(substitutes):
        return True  # nobody knows which characters are substituted, so nothing can be compared
    masked = "".join(_SUBSTITUTED if flag == "1" else one for one, flag in zip(shown, substitutes, strict=True))
    pattern = re.escape(key(masked)).replace(_SUBSTITUTED, ".")
    return re.fullmatch(pattern, key(written)) is not None

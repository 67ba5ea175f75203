"""Names, dates and marks inside a 署名用電子証明書."""

from collections.abc import Sequence
from datetime import date

import pytest

from town_identity.jpki import HolderAttributes, JpkiVerifier, Sex
from town_identity.jpki.attributes import parse_birth
from town_kit.problems import JpkiUntrusted
from town_sandbox.jpki import DEMO_HOLDERS, Holder, JpkiTestAuthority, VirtualCard
from town_sandbox.jpki.samples import CONTENT, DIGESTS, ISSUED, NOW

HANAKO = DEMO_HOLDERS["hanako"]


async def read(
    verifier: JpkiVerifier,
    authority: JpkiTestAuthority,
    holder: Holder = HANAKO,
    attributes: Sequence[tuple[str, str]] | None = None,
) -> HolderAttributes:
    card = VirtualCard.issue(authority, holder, now=ISSUED, attributes=attributes)
    found = (await verifier.verify_signature(card.sign(CONTENT, NOW), DIGESTS, NOW)).attributes
    assert found is not None
    return found


@pytest.mark.case("D-10")
async def test_an_unknown_birth_date_and_substitute_characters_are_kept_as_such(
    verifier: JpkiVerifier, authority: JpkiTestAuthority
) -> None:
    holder = HANAKO.but(birth="000000000", name="能登　〓子", name_substitutes="00010")
    found = await read(verifier, authority, holder)
    assert (found.birth, found.birth_known) == (None, False)
    assert (found.name_substitutes, found.has_substitutes) == ("00010", True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("319800217", date(1980, 2, 17)),
        ("520240229", date(2024, 2, 29)),
        ("400000000", None),
        ("319800200", None),
        ("019800217", None),
        ("320230229", None),
        ("31980021", None),
        ("３19800217", None),
        ("", None),
    ],
)
def test_a_birth_date_is_whole_or_unknown(text: str, expected: date | None) -> None:
    assert parse_birth(text) == expected


@pytest.mark.parametrize(
    ("code", "sex"), [("1", Sex.MALE), ("2", Sex.FEMALE), ("3", Sex.OTHER), ("9", Sex.OTHER), ("", Sex.OTHER)]
)
async def test_a_sex_code_outside_the_profile_is_other(
    code: str, sex: Sex, verifier: JpkiVerifier, authority: JpkiTestAuthority
) -> None:
    assert (await read(verifier, authority, HANAKO.but(sex=code))).sex is sex


async def test_the_order_of_the_entries_does_not_matter(verifier: JpkiVerifier, authority: JpkiTestAuthority) -> None:
    turned = list(reversed(HANAKO.attributes()))
    assert await read(verifier, authority, attributes=turned) == await read(verifier, authority)


async def test_a_birth_date_written_twice_is_refused(verifier: JpkiVerifier, authority: JpkiTestAuthority) -> None:
    doubled = [*HANAKO.attributes(), ("1.2.392.200149.8.5.5.4", "319500101")]
    with pytest.raises(JpkiUntrusted):
        await read(verifier, authority, attributes=doubled)


@pytest.mark.parametrize("missing", range(6))
async def test_a_missing_entry_is_refused(missing: int, verifier: JpkiVerifier, authority: JpkiTestAuthority) -> None:
    kept = [entry for index, entry in enumerate(HANAKO.attributes()) if index != missing]
    with pytest.raises(JpkiUntrusted):
        await read(verifier, authority, attributes=kept)


async def test_nothing_of_the_holder_shows_in_a_repr(verifier: JpkiVerifier, authority: JpkiTestAuthority) -> None:
    card = VirtualCard.issue(authority, HANAKO, now=ISSUED)
    signer = await verifier.verify_signature(card.sign(CONTENT, NOW), DIGESTS, NOW)
    shown = repr(signer) + repr(signer.attributes)
    assert not any(secret in shown for secret in (HANAKO.name, HANAKO.address, "1987", str(signer.serial)))

"""What an answer to a login challenge must be."""

import pytest

from town_identity.jpki import JpkiVerifier, Purpose
from town_kit.problems import JpkiExpired, JpkiUntrusted, JpkiWrongPurpose, SignatureInvalid
from town_sandbox.jpki import DEMO_HOLDERS, JpkiTestAuthority, VirtualCard
from town_sandbox.jpki.samples import ISSUED, NOW

CHALLENGE = b"anamizu-login-v1\0nonce"


@pytest.mark.parametrize("kind", ["rsa", "p384"])
async def test_the_right_card_answers_a_challenge(
    kind: str, verifier: JpkiVerifier, hanako: VirtualCard, hanako_p384: VirtualCard
) -> None:
    card = hanako if kind == "rsa" else hanako_p384
    signer = await verifier.verify_login(card.auth_der, card.sign_login(CHALLENGE), CHALLENGE, NOW)
    assert (signer.purpose, signer.attributes) == (Purpose.AUTH, None)
    assert signer.serial == card.auth_certificate.serial_number


async def test_the_answer_to_another_challenge_is_refused(verifier: JpkiVerifier, hanako: VirtualCard) -> None:
    with pytest.raises(SignatureInvalid):
        await verifier.verify_login(hanako.auth_der, hanako.sign_login(CHALLENGE + b"x"), CHALLENGE, NOW)


async def test_the_signing_certificate_cannot_log_in(verifier: JpkiVerifier, hanako: VirtualCard) -> None:
    with pytest.raises(JpkiWrongPurpose):
        await verifier.verify_login(hanako.sign_der, hanako.sign_login(CHALLENGE), CHALLENGE, NOW)


async def test_a_card_of_another_authority_cannot_log_in(verifier: JpkiVerifier) -> None:
    forged = VirtualCard.issue(JpkiTestAuthority.create(generations=["2024"]), DEMO_HOLDERS["taro"], now=ISSUED)
    with pytest.raises(JpkiUntrusted):
        await verifier.verify_login(forged.auth_der, forged.sign_login(CHALLENGE), CHALLENGE, NOW)


async def test_a_card_that_ran_out_cannot_log_in(verifier: JpkiVerifier, hanako: VirtualCard) -> None:
    late = hanako.auth_certificate.not_valid_after_utc.replace(year=2035)
    with pytest.raises(JpkiExpired):
        await verifier.verify_login(hanako.auth_der, hanako.sign_login(CHALLENGE), CHALLENGE, late)


@pytest.mark.parametrize("size", [0, 100, 20_000])
async def test_bytes_that_are_no_certificate_are_refused(size: int, verifier: JpkiVerifier) -> None:
    with pytest.raises(JpkiUntrusted):
        await verifier.verify_login(b"\x30" * size, b"", CHALLENGE, NOW)

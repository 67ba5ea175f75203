"""The verdict (署名検証・利用者証明検証): one immutable result, or the problem that refuses.

Order: strict reading → algorithm allow-list → our leaf rules → path to a pinned anchor → purpose → validity →
signature → revocation. Steps before revocation say "cryptographically right", not 「有効」.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NoReturn, ParamSpec

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.x509.verification import Criticality, ExtensionPolicy, PolicyBuilder, VerificationError

from town_identity.jpki import certificate as leaf_rules
from town_identity.jpki.anchors import Anchor, TrustAnchors
from town_identity.jpki.attributes import HolderAttributes, read_attributes
from town_identity.jpki.certificate import NOT_OF_JPKI, PublicKey
from town_identity.jpki.cms import SignedMessage, check_raw_signature, read_signed_message
from town_identity.jpki.profile import JpkiProfile, Purpose, Realm
from town_identity.jpki.revocation import Question, Revocation, RevocationSource, Status
from town_kit.problems import JpkiRevoked, JpkiStatusUnavailable, JpkiUntrusted, JpkiWrongPurpose

REVOKED = (
    "電子証明書は失効しています。引越しや氏名の変更のあとは、市区町村の窓口で新しい電子証明書の発行を受けてください。"
)


P = ParamSpec("P")


@dataclass(frozen=True, slots=True)
class VerifiedSigner:
    """Who signed or logged in, as far as the certificate knows. The serial and the attributes are personal data.

    ``issuer`` is the SHA-256 of the anchor and, with ``serial``, the key under which a person is found: names never
    are. ``attributes`` is None for 利用者証明用. ``revocation.status`` is GOOD, or UNKNOWN where no current list says.
    """

    purpose: Purpose
    issuer: str
    generation: str
    realm: Realm
    serial: int = field(repr=False)
    valid_from: datetime
    valid_until: datetime
    partitions: frozenset[bytes] = field(repr=False)
    attributes: HolderAttributes | None = field(repr=False)
    revocation: Revocation
    judged_at: datetime

    @property
    def serial_hex(self) -> str:
        """発行番号: lowercase hexadecimal without leading zeros."""
        return f"{self.serial:x}"

    def question(self) -> Question:
        """What to ask a revocation source about this certificate."""
        return Question(self.issuer, self.serial, self.purpose, self.partitions, self.valid_until)


class JpkiVerifier:
    """Verifies signatures over applications and answers to login challenges against pinned anchors."""

    def __init__(self, anchors: TrustAnchors, profile: JpkiProfile, revocation: RevocationSource) -> None:
        self._anchors, self._profile, self._revocation = anchors, profile, revocation
        self._critical = profile.critical()
        # The rules that matter are ours (see certificate.py): the library only builds the path and must know which
        # critical extensions have been looked at.
        seen = ExtensionPolicy.permit_all().may_be_present(x509.CertificatePolicies, Criticality.AGNOSTIC, None)
        authority = seen.require_present(x509.BasicConstraints, Criticality.AGNOSTIC, None)
        self._paths = (
            PolicyBuilder().store(anchors.store).extension_policies(ca_policy=authority, ee_policy=seen)
        ).max_chain_depth(0)

    async def verify_signature(self, cms: bytes, digests: Mapping[str, bytes], at: datetime) -> VerifiedSigner:
        """Verify a detached CMS signature by a 署名用電子証明書 over content with these digests, received at ``at``.

        ``digests`` maps ``sha256`` (and ``sha384``, for cards with P-384) to the digest of the content. Raises
        ``SignatureInvalid``, ``JpkiUntrusted``, ``JpkiExpired``, ``JpkiRevoked``, ``JpkiWrongPurpose`` or
        ``JpkiWeakAlgorithm``; an unknown revocation status is part of the result, not a refusal.
        """
        message = read_signed_message(cms)
        return await _judged(message.certificate, self._judge_message, message, digests, at)

    async def verify_login(self, certificate: bytes, signature: bytes, tbs: bytes, at: datetime) -> VerifiedSigner:
        """Verify a signature by a 利用者証明用電子証明書 (DER) over the bytes of a login challenge.

        Raises the same problems as :meth:`verify_signature`, and ``JpkiStatusUnavailable`` where revocation is
        unknown: a login fails closed.
        """
        leaf = leaf_rules.load_certificate(certificate)
        return await _judged(leaf, self._judge_login, leaf, signature, tbs, at)

    def check_status(self, question: Question, at: datetime) -> Revocation:
        """Only the revocation status of a certificate judged before, for what waited with an unknown one."""
        return self._revocation.check(question, at)

    def _judge_login(self, leaf: x509.Certificate, signature: bytes, tbs: bytes, at: datetime) -> VerifiedSigner:
        key, anchor = self._trusted(leaf, Purpose.AUTH, at)
        check_raw_signature(key, signature, tbs)
        signer = self._signer(leaf, anchor, None, at)
        if signer.revocation.status is Status.UNKNOWN:
            raise JpkiStatusUnavailable("しばらくしてからもう一度お試しください。", retry_after=300)
        return signer

    def _judge_message(self, message: SignedMessage, digests: Mapping[str, bytes], at: datetime) -> VerifiedSigner:
        key, anchor = self._trusted(message.certificate, Purpose.SIGN, at)
        message.check_digest(digests)
        message.check_signature(key)
        attributes = read_attributes(message.certificate, self._profile)
        return self._signer(message.certificate, anchor, attributes, at)

    def _trusted(self, leaf: x509.Certificate, purpose: Purpose, at: datetime) -> tuple[PublicKey, Anchor]:
        key = leaf_rules.strong_key(leaf)
        leaf_rules.check_shape(leaf, self._critical)
        if leaf.issuer not in self._anchors.names:
            raise JpkiUntrusted(NOT_OF_JPKI)
        try:
            path = self._paths.time(at.astimezone(UTC)).build_client_verifier().verify(leaf, [])
        except VerificationError:
            self._explain(leaf, purpose, at)
        anchor = self._anchors.of(path.chain[-1])
        self._check_purpose(leaf, anchor, purpose)
        leaf_rules.check_validity(leaf, at)
        leaf_rules.check_validity(anchor.certificate, at)
        leaf_rules.check_issuer_key(leaf, anchor.certificate)
        return key, anchor

    def _check_purpose(self, leaf: x509.Certificate, anchor: Anchor, purpose: Purpose) -> None:
        if anchor.purpose is not purpose:
            raise JpkiWrongPurpose(leaf_rules.WRONG_PURPOSE[purpose])
        leaf_rules.check_purpose(leaf, purpose, anchor.realm, self._profile)

    def _explain(self, leaf: x509.Certificate, purpose: Purpose, at: datetime) -> NoReturn:
        """No path: say why. The library's own sentence is not one for a citizen."""
        anchor = self._anchors.signer_of(leaf)
        if anchor is None:
            raise JpkiUntrusted(NOT_OF_JPKI)
        self._check_purpose(leaf, anchor, purpose)
        leaf_rules.check_validity(leaf, at)
        leaf_rules.check_validity(anchor.certificate, at)
        raise JpkiUntrusted(NOT_OF_JPKI)

    def _signer(
        self, leaf: x509.Certificate, anchor: Anchor, attributes: HolderAttributes | None, at: datetime
    ) -> VerifiedSigner:
        question = Question(
            anchor.fingerprint,
            leaf.serial_number,
            anchor.purpose,
            leaf_rules.partition_of(leaf),
            leaf.not_valid_after_utc,
        )
        revocation = self._revocation.check(question, at)
        if revocation.status is Status.REVOKED:
            raise JpkiRevoked(REVOKED)
        return VerifiedSigner(
            purpose=anchor.purpose,
            issuer=anchor.fingerprint,
            generation=anchor.generation,
            realm=anchor.realm,
            serial=leaf.serial_number,
            valid_from=leaf.not_valid_before_utc,
            valid_until=leaf.not_valid_after_utc,
            partitions=question.partitions,
            attributes=attributes,
            revocation=revocation,
            judged_at=at,
        )


async def _judged(
    leaf: x509.Certificate, judge: Callable[P, VerifiedSigner], *arguments: P.args, **options: P.kwargs
) -> VerifiedSigner:
    """A verdict that leaves the event loop alone: P-384 takes about a millisecond and is judged in a thread."""
    if isinstance(leaf_rules.strong_key(leaf), EllipticCurvePublicKey):
        return await asyncio.to_thread(judge, *arguments, **options)
    return judge(*arguments, **options)

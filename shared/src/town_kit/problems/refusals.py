"""The refusals every service may give."""

from town_kit.problems.base import Problem


class MalformedRequest(Problem, slug="malformed-request", status=400, title="リクエストの形式が正しくありません"):
    """The body is not the JSON or the bytes the route reads."""


class DuplicateMember(Problem, slug="duplicate-member", status=400, title="同じ項目が二度書かれています"):
    """A JSON object names one member twice; which one counts would be a guess."""


class IdempotencyKeyMissing(
    Problem, slug="idempotency-key-missing", status=400, title="Idempotency-Key ヘッダーが必要です"
):
    """An unsafe route was called without an ``Idempotency-Key``."""


class InvalidToken(Problem, slug="invalid-token", status=401, title="ログインが必要です"):
    """The access token is absent, expired, forged or meant for something else (RFC 6750)."""


class WebhookSignature(Problem, slug="webhook-signature", status=401, title="通知の署名を確認できません"):
    """A webhook's signature, timestamp or identifier does not hold (Standard Webhooks)."""


class InsufficientScope(Problem, slug="insufficient-scope", status=403, title="この操作の権限がありません"):
    """The token is good but does not carry the scope, role or second factor the route names."""


class ZoneViolation(Problem, slug="zone-violation", status=403, title="この網からは利用できません"):
    """A caller of one zone asked for what only another zone may reach (三層の対策)."""


class NotFound(Problem, slug="not-found", status=404, title="見つかりません"):
    """There is no such thing, or the caller may not see it; the two are not told apart."""


class MethodNotAllowed(Problem, slug="method-not-allowed", status=405, title="この操作はできません"):
    """The path exists, the method does not."""


class RequestTimeout(Problem, slug="request-timeout", status=408, title="送信が途中で止まりました"):
    """The rest of the body did not come in time; a slow sender must not hold a slot."""


class InProgress(Problem, slug="in-progress", status=409, title="同じ操作を処理しています"):
    """A request with the same Idempotency-Key is being worked on; ask again in a moment."""


class StateConflict(Problem, slug="state-conflict", status=409, title="いまの状態ではこの操作はできません"):
    """The state of the thing does not allow the move."""


class PreconditionFailed(Problem, slug="precondition-failed", status=412, title="ほかの人が先に更新しました"):
    """``If-Match`` names an older version; read again, then decide."""


class PayloadTooLarge(Problem, slug="payload-too-large", status=413, title="送信データが大きすぎます"):
    """The body is longer than the route reads."""


class UnsupportedMedia(Problem, slug="unsupported-media", status=415, title="この種類のデータは受け付けていません"):
    """The content type is not one the route reads."""


class ValidationFailed(Problem, slug="validation-failed", status=422, title="入力内容を確認してください"):
    """A field breaks a rule; ``errors`` names each."""


class IdempotencyMismatch(
    Problem, slug="idempotency-mismatch", status=422, title="同じ Idempotency-Key で内容が異なります"
):
    """The key was used before with other content."""


class JpkiUntrusted(Problem, slug="jpki-untrusted", status=422, title="電子証明書の発行者を確認できません"):
    """No pinned trust anchor signed the certificate."""


class JpkiExpired(Problem, slug="jpki-expired", status=422, title="電子証明書の有効期限が切れています"):
    """The certificate or its issuer was not valid at the moment of receipt."""


class JpkiRevoked(Problem, slug="jpki-revoked", status=422, title="電子証明書が失効しています"):
    """The certificate stands in a revocation list (引越し・改氏名・返納・死亡など)."""


class JpkiWrongPurpose(Problem, slug="jpki-wrong-purpose", status=422, title="電子証明書の種類が違います"):
    """署名用 was given for 利用者証明用, or the reverse."""


class JpkiWeakAlgorithm(Problem, slug="jpki-weak-algorithm", status=422, title="電子証明書の暗号方式を使えません"):
    """Key or signature algorithm stands outside the allow-list."""


class SignatureInvalid(Problem, slug="signature-invalid", status=422, title="電子署名を確認できません"):
    """The signature is absent, broken, or not over these bytes."""


class ArchiveUnsafe(Problem, slug="archive-unsafe", status=422, title="圧縮ファイルを安全に開けません"):
    """An archive breaks a limit of size, count, ratio, name or nesting."""


class DocumentUnsafe(Problem, slug="document-unsafe", status=422, title="ファイルを安全に扱えません"):
    """A file is not what it says, or carries active content."""


class PreconditionRequired(Problem, slug="precondition-required", status=428, title="If-Match ヘッダーが必要です"):
    """A change must name the version it was decided on."""


class RateLimited(Problem, slug="rate-limited", status=429, title="しばらく待ってからもう一度お試しください"):
    """The caller's share is used up; ``Retry-After`` says when to come again."""


class InternalError(Problem, slug="internal-error", status=500, title="処理中に問題が起きました"):
    """Nothing but the trace id is told."""


class DependencyUnavailable(
    Problem, slug="dependency-unavailable", status=503, title="関係するシステムが一時的に使えません"
):
    """Something this answer needs does not answer; ``Retry-After`` says when to come again."""


class JpkiStatusUnavailable(
    Problem, slug="jpki-status-unavailable", status=503, title="電子証明書の有効性をいま確認できません"
):
    """Revocation data is missing or stale: a login fails closed."""


class Overloaded(Problem, slug="overloaded", status=503, title="混み合っています"):
    """Admission refused the request before any work was done."""

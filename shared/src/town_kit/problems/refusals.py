"""The refusals every service may give."""

from town_kit.problems.base import Problem


class MalformedRequest(
    Problem,
    slug="malformed-request",
    status=400,
    title="リクエストの形式が正しくありません",
    next_step="送る内容の形式（JSON・文字コード・項目の型）を直して、もう一度送ってください。",
):
    """The body is not the JSON or the bytes the route reads."""


class DuplicateMember(
    Problem,
    slug="duplicate-member",
    status=400,
    title="同じ項目が二度書かれています",
    next_step="同じ名前の項目を一つにして、もう一度送ってください。",
):
    """A JSON object names one member twice; which one counts would be a guess."""


class IdempotencyKeyMissing(
    Problem,
    slug="idempotency-key-missing",
    status=400,
    title="Idempotency-Key ヘッダーが必要です",
    next_step="Idempotency-Key に一意の値（UUID など）を付けて送り直してください。",
):
    """An unsafe route was called without an ``Idempotency-Key``."""


class InvalidToken(
    Problem,
    slug="invalid-token",
    status=401,
    title="ログインが必要です",
    next_step="ログインし直し、アクセストークンを付けて送ってください。",
):
    """The access token is absent, expired, forged or meant for something else (RFC 6750)."""


class WebhookSignature(
    Problem,
    slug="webhook-signature",
    status=401,
    title="通知の署名を確認できません",
    next_step="署名の鍵・時刻・識別子を確認し、署名し直して送ってください。",
):
    """A webhook's signature, timestamp or identifier does not hold (Standard Webhooks)."""


class InsufficientScope(
    Problem,
    slug="insufficient-scope",
    status=403,
    title="この操作の権限がありません",
    next_step="必要な権限を管理者に確認してください。",
):
    """The token is good but does not carry the scope, role or second factor the route names."""


class ZoneViolation(
    Problem,
    slug="zone-violation",
    status=403,
    title="この網からは利用できません",
    next_step="利用できる窓口をシステム担当に確認してください。",
):
    """A caller of one zone asked for what only another zone may reach (三層の対策)."""


class NotFound(
    Problem,
    slug="not-found",
    status=404,
    title="見つかりません",
    next_step="番号やアドレスを確かめてください。自分のものが見つからないときは、一覧から選び直すか、窓口にお問い合わせください。",
):
    """There is no such thing, or the caller may not see it; the two are not told apart."""


class MethodNotAllowed(
    Problem,
    slug="method-not-allowed",
    status=405,
    title="この操作はできません",
    next_step="API リファレンス（/reference）で、このアドレスで使える操作を確認してください。",
):
    """The path exists, the method does not."""


class RequestTimeout(
    Problem,
    slug="request-timeout",
    status=408,
    title="送信が途中で止まりました",
    next_step="通信の状態を確かめ、はじめから送り直してください。",
):
    """The rest of the body did not come in time; a slow sender must not hold a slot."""


class InProgress(
    Problem,
    slug="in-progress",
    status=409,
    title="同じ操作を処理しています",
    next_step="数秒後に同じ内容で送り直してください。",
):
    """A request with the same Idempotency-Key is being worked on; ask again in a moment."""


class StateConflict(
    Problem,
    slug="state-conflict",
    status=409,
    title="いまの状態ではこの操作はできません",
    next_step="最新の状態を読み直し、いまできる操作を確認してください。",
):
    """The state of the thing does not allow the move."""


class PreconditionFailed(
    Problem,
    slug="precondition-failed",
    status=412,
    title="ほかの人が先に更新しました",
    next_step="最新の内容を読み直し、変更してよいかを確かめてから送り直してください。",
):
    """``If-Match`` names an older version; read again, then decide."""


class PayloadTooLarge(
    Problem,
    slug="payload-too-large",
    status=413,
    title="送信データが大きすぎます",
    next_step="ファイルや本文を小さくして送り直してください。",
):
    """The body is longer than the route reads."""


class UnsupportedMedia(
    Problem,
    slug="unsupported-media",
    status=415,
    title="この種類のデータは受け付けていません",
    next_step="受け付けている種類（Content-Type）に変えて送り直してください。",
):
    """The content type is not one the route reads."""


class ValidationFailed(
    Problem,
    slug="validation-failed",
    status=422,
    title="入力内容を確認してください",
    next_step="errors に挙げた項目を直して、もう一度送ってください。",
):
    """A field breaks a rule; ``errors`` names each."""


class IdempotencyMismatch(
    Problem,
    slug="idempotency-mismatch",
    status=422,
    title="同じ Idempotency-Key で内容が異なります",
    next_step="内容を変えて送るときは、新しい Idempotency-Key を付けてください。",
):
    """The key was used before with other content."""


class JpkiUntrusted(
    Problem,
    slug="jpki-untrusted",
    status=422,
    title="電子証明書の発行者を確認できません",
    next_step="マイナンバーカードの電子証明書で署名し直してください。続くときは窓口にお問い合わせください。",
):
    """No pinned trust anchor signed the certificate."""


class JpkiExpired(
    Problem,
    slug="jpki-expired",
    status=422,
    title="電子証明書の有効期限が切れています",
    next_step="市区町村の窓口で電子証明書を更新してから、署名し直してください。",
):
    """The certificate or its issuer was not valid at the moment of receipt."""


class JpkiRevoked(
    Problem,
    slug="jpki-revoked",
    status=422,
    title="電子証明書が失効しています",
    next_step="市区町村の窓口で電子証明書の発行を受け直してから、署名し直してください。",
):
    """The certificate stands in a revocation list (引越し・改氏名・返納・死亡など)."""


class JpkiWrongPurpose(
    Problem,
    slug="jpki-wrong-purpose",
    status=422,
    title="電子証明書の種類が違います",
    next_step="申請には署名用、ログインには利用者証明用の電子証明書を使ってください。",
):
    """署名用 was given for 利用者証明用, or the reverse."""


class JpkiWeakAlgorithm(
    Problem,
    slug="jpki-weak-algorithm",
    status=422,
    title="電子証明書の暗号方式を使えません",
    next_step="いまお使いのカードの電子証明書で署名し直してください。続くときは窓口にお問い合わせください。",
):
    """Key or signature algorithm stands outside the allow-list."""


class SignatureInvalid(
    Problem,
    slug="signature-invalid",
    status=422,
    title="電子署名を確認できません",
    next_step="内容を変えずに署名し直して、もう一度送ってください。",
):
    """The signature is absent, broken, or not over these bytes."""


class ArchiveUnsafe(
    Problem,
    slug="archive-unsafe",
    status=422,
    title="圧縮ファイルを安全に開けません",
    next_step="圧縮ファイルの中身の数・大きさ・名前を確かめ、作り直して送ってください。",
):
    """An archive breaks a limit of size, count, ratio, name or nesting."""


class DocumentUnsafe(
    Problem,
    slug="document-unsafe",
    status=422,
    title="ファイルを安全に扱えません",
    next_step="ファイルを PDF か画像で保存し直して送ってください。",
):
    """A file is not what it says, or carries active content."""


class PreconditionRequired(
    Problem,
    slug="precondition-required",
    status=428,
    title="If-Match ヘッダーが必要です",
    next_step="最新の内容を読み直し、ETag を If-Match に付けて送ってください。",
):
    """A change must name the version it was decided on."""


class RateLimited(
    Problem,
    slug="rate-limited",
    status=429,
    title="しばらく待ってからもう一度お試しください",
    next_step="しばらく待って、もう一度送ってください（待つ秒数は Retry-After にあります）。",
):
    """The caller's share is used up; ``Retry-After`` says when to come again."""


class InternalError(
    Problem,
    slug="internal-error",
    status=500,
    title="処理中に問題が起きました",
    next_step="時間をおいて、もう一度送ってください。続くときは trace_id を添えてお問い合わせください。",
):
    """Nothing but the trace id is told."""


class DependencyUnavailable(
    Problem,
    slug="dependency-unavailable",
    status=503,
    title="関係するシステムが一時的に使えません",
    next_step="しばらく待って、同じ内容で送り直してください（待つ秒数は Retry-After にあります）。",
):
    """Something this answer needs does not answer; ``Retry-After`` says when to come again."""


class JpkiStatusUnavailable(
    Problem,
    slug="jpki-status-unavailable",
    status=503,
    title="電子証明書の有効性をいま確認できません",
    next_step="時間をおいて、もう一度お試しください。お急ぎのときは窓口へお越しください。",
):
    """Revocation data is missing or stale: a login fails closed."""


class Overloaded(
    Problem,
    slug="overloaded",
    status=503,
    title="混み合っています",
    next_step="しばらく待って、同じ内容で送り直してください（待つ秒数は Retry-After にあります）。",
):
    """Admission refused the request before any work was done."""

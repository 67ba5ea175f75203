"""Refusals as classes (RFC 9457): a slug, a status, a title in Japanese, and what to do next.

Only the standard library is imported here, so that ``domain.py`` and ``errors.py`` may use it. The caller's input is
never part of a problem: a My Number would come back to the caller and stand in logs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

URN = "urn:town:problem:"


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing that is wrong in a body: where (JSON Pointer, RFC 6901), a stable code, a sentence in Japanese."""

    pointer: str
    code: str
    message: str


class Problem(Exception):
    """A refusal the caller is told about.

    A subclass names ``slug``, ``status``, a Japanese ``title`` and ``next_step``: what the caller can do next, told
    as ``detail`` wherever whoever refuses has nothing closer to say.
    """

    slug: ClassVar[str]
    status: ClassVar[int]
    title: ClassVar[str]
    next_step: ClassVar[str]
    catalogue: ClassVar[dict[str, type["Problem"]]] = {}

    def __init_subclass__(cls, *, slug: str, status: int, title: str, next_step: str = "") -> None:
        known = Problem.catalogue.get(slug)
        if known is not None and (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
            raise TypeError(f"two problems share the slug {slug}")
        cls.slug, cls.status, cls.title, cls.next_step = slug, status, title, next_step
        Problem.catalogue[slug] = cls

    def __init__(
        self,
        detail: str | None = None,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(self.slug)
        self.detail = detail or self.next_step
        self.errors = tuple(errors)
        self.headers = dict(headers or {})
        if retry_after is not None:
            self.headers["Retry-After"] = str(retry_after)

    def with_status(self, status: int) -> Self:
        """This refusal under another status: a certificate refused at login is a 401, at an application a 422."""
        self.status = status  # type: ignore[misc]  # over the class's own, for this refusal alone
        return self

    def document(self, *, trace_id: str | None = None) -> dict[str, Any]:
        """The body of the answer: type, title, status, detail, errors and the trace id, nothing of the request."""
        body: dict[str, Any] = {"type": URN + self.slug, "title": self.title, "status": self.status}
        if self.detail:
            body["detail"] = self.detail
        if self.errors:
            body["errors"] = [asdict(error) for error in self.errors]
        if trace_id:
            body["trace_id"] = trace_id
        return body

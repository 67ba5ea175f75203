"""文例 — versioned texts in 日本語, やさしい日本語 and English, and how they are filled in."""

from town_notifications.templates.domain import (
    Kind,
    Rendered,
    TemplateInvalid,
    Text,
    Unreached,
    fill,
    render,
    show_date,
)
from town_notifications.templates.repository import Procedure, procedure
from town_notifications.templates.town import kinds, shared_texts

__all__ = [
    "Kind",
    "Procedure",
    "Rendered",
    "TemplateInvalid",
    "Text",
    "Unreached",
    "fill",
    "kinds",
    "procedure",
    "render",
    "shared_texts",
    "show_date",
]

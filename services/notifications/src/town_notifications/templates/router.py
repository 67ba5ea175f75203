"""Texts as a clerk sees them before a resident does."""

from datetime import timedelta

from town_kit.auth import STAFF
from town_kit.clock import japan_date
from town_kit.problems import NotFound
from town_kit.routing import TownRouter, Tx
from town_notifications.languages import Language
from town_notifications.ports import Wired
from town_notifications.templates import repository
from town_notifications.templates.domain import fill, show_date
from town_notifications.templates.schemas import KindView, PreviewView
from town_notifications.templates.town import kinds, shared_texts

router = TownRouter(prefix="/v1/templates", tags=["文例"])


@router.get("", scope="templates:read", roles=(STAFF,))
async def list_templates() -> list[KindView]:
    """お知らせの種類の一覧。"""
    return [
        KindView(
            kind=kind.name,
            version=kind.version,
            notify=kind.notify,
            valid_days=kind.valid_days,
            unreached=kind.unreached,
        )
        for kind in kinds().values()
    ]


@router.get("/{kind}/preview", scope="templates:read", roles=(STAFF,))
async def preview_template(
    kind: str,
    tx: Tx,
    wired: Wired,
    language: Language = Language.JA,
    procedure_code: str | None = None,
) -> PreviewView:
    """文例を見本の値で見る。手続コードを付けると、その手続の文例で見られます。"""
    found = kinds().get(kind)
    if found is None:
        raise NotFound("お知らせの種類を一覧から選んでください。")
    procedure = await repository.procedure(tx, procedure_code) if procedure_code else repository.UNKNOWN
    today = japan_date(wired.clock.now())
    values = {
        "town": wired.town.name(language),
        "procedure": wired.town.sample_procedure(language),
        "reference": "A-7K2M-Q9TX-3",
        "received_date": show_date(today, language),
        "expected_date": show_date(today + timedelta(days=30), language),
    }
    rendered = procedure.render(found, language, values)
    push = shared_texts().push[language]
    return PreviewView(
        kind=kind,
        language=language,
        version=rendered.version,
        title=rendered.title,
        body=rendered.body,
        push_title=fill(push.title, values),
        push_body=fill(push.body, values),
    )

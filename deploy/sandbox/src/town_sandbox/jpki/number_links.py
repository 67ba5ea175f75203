"""The 番号紐付 file as the vendor of the resident register would hand it over; its layout is ours."""

import csv
import io
from collections.abc import Iterable

from cryptography import x509

from town_kit.clock import japan_date
from town_sandbox.jpki.authority import JpkiTestAuthority, Purpose
from town_sandbox.jpki.cards import VirtualCard

HEADERS = (
    "宛名番号",
    "電子証明書シリアル番号",
    "証明書種別",
    "認証局世代",
    "有効期間開始日",
    "有効期間満了日",
)
_CODES: dict[Purpose, str] = {"sign": "1", "auth": "2"}


def number_link_file(authority: JpkiTestAuthority, cards: Iterable[VirtualCard]) -> bytes:
    """CSV (UTF-8 with BOM, CRLF) with one line per certificate of each card."""
    text = io.StringIO()
    lines = csv.writer(text)
    lines.writerow(HEADERS)
    for card in cards:
        for certificate in (card.sign_certificate, card.auth_certificate):
            lines.writerow([card.holder.addressee_number, *_columns(authority, certificate)])
    return text.getvalue().encode("utf-8-sig")


def _columns(authority: JpkiTestAuthority, certificate: x509.Certificate) -> list[str]:
    issuer = authority.issuer_of(certificate)
    return [
        f"{certificate.serial_number:x}",
        _CODES[issuer.purpose],
        issuer.generation,
        japan_date(certificate.not_valid_before_utc).isoformat(),
        japan_date(certificate.not_valid_after_utc).isoformat(),
    ]

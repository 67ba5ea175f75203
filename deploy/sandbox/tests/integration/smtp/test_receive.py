"""The mail server keeps mail, and its faults are those a sender must live with."""

import smtplib
from email.message import EmailMessage
from typing import Any
from urllib.parse import urlsplit

import pytest


def mail(sandbox: Any, to: str, message_id: str) -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "town@town.invalid", to, "【穴水町】お知らせ"
    message["Message-ID"] = message_id
    message.set_content("申請を受け付けました。")
    address = urlsplit(sandbox.addresses["smtp"])
    with smtplib.SMTP(address.hostname or "", address.port or 0, timeout=5) as client:
        client.send_message(message)


def test_mail_is_kept_with_its_decoded_subject_and_text(sandbox: Any) -> None:
    mail(sandbox, "hanako@example.jp", "<a@town.invalid>")
    [kept] = sandbox.received("smtp_control", message_id="<a@town.invalid>")
    assert kept["subject"] == "【穴水町】お知らせ"
    assert kept["text"].strip() == "申請を受け付けました。"
    assert kept["recipients"] == ["hanako@example.jp"]


def test_an_unknown_recipient_is_refused_for_good(sandbox: Any) -> None:
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        mail(sandbox, "unknown-1@example.jp", "<b@town.invalid>")
    assert refused.value.recipients["unknown-1@example.jp"][0] == 550


@pytest.mark.parametrize(("kind", "code"), [("temporary", 451), ("permanent", 550)])
def test_a_refused_message_is_not_kept(sandbox: Any, kind: str, code: int) -> None:
    with sandbox.client("smtp_control") as control:
        control.post("/_faults", json={"kind": kind})
    with pytest.raises(smtplib.SMTPDataError) as refused:
        mail(sandbox, "hanako@example.jp", f"<{kind}@town.invalid>")
    assert refused.value.smtp_code == code
    assert sandbox.received("smtp_control", message_id=f"<{kind}@town.invalid>") == []


def test_a_dropped_reply_means_the_mail_was_kept(sandbox: Any) -> None:
    with sandbox.client("smtp_control") as control:
        control.post("/_faults", json={"kind": "drop_reply"})
    with pytest.raises(smtplib.SMTPException):
        mail(sandbox, "hanako@example.jp", "<dropped@town.invalid>")
    assert len(sandbox.received("smtp_control", message_id="<dropped@town.invalid>")) == 1

"""Residents of a town under load: each with a certificate, an access token and an application signed by her card.

All of it is made before anything is measured. A card's key is shared by many residents, because a new RSA key takes
50 ms and the verifier remembers none; certificates, serial numbers, tokens and signatures are each her own.
"""

import asyncio
import base64
import hashlib
import json
import random
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from uuid import UUID

from tests.load.lifecycle import sample
from tests.load.sending import request

from town_identity import persons
from town_identity.jpki import Purpose
from town_identity.persons import CertificateSerial, Person
from town_kit.auth import Role
from town_kit.clock import SystemClock
from town_kit.ids import new_id
from town_onebox.assembly import Process, Town
from town_procedures.applications.submit import signed_content
from town_sandbox.jpki import JpkiTestAuthority
from town_sandbox.jpki.authority import issue_certificate, new_key
from town_sandbox.jpki.holders import Holder
from town_sandbox.jpki.signing import detached_cms

PROCEDURE = "LC-01"
APPLICATIONS = "/procedures/v1/applications"
ATTACHMENTS = "/procedures/v1/attachments"
GENERATION = "2024"
KEYS = 8
PHOTO = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + random.Random(7461).randbytes(2 * 1024 * 1024 - 11)  # the same everywhere
PHOTO_SHA256 = hashlib.sha256(PHOTO).hexdigest()
TOKEN_SECONDS = 1_800


@dataclass(frozen=True, slots=True)
class Signed:
    """A certificate's serial number, and the signature (CMS) of its card over an application."""

    serial: int
    cms: bytes


@dataclass(frozen=True, slots=True)
class Applicant:
    """The requests of one resident; ``upload`` goes first where there is one."""

    number: int
    submit: bytes
    upload: bytes | None


async def prepare(town: Town, count: int, *, with_photo: Sequence[int]) -> list[Applicant]:
    """``count`` residents whom identity knows, with what they are going to send; ``with_photo`` attach 2 MB."""
    numbers, photos = list(range(count)), frozenset(with_photo)
    halves = [numbers[::2], numbers[1::2]]
    with ProcessPoolExecutor(len(halves), mp_context=get_context("spawn")) as pool:
        loop = asyncio.get_running_loop()
        made = await asyncio.gather(
            *(loop.run_in_executor(pool, sign, town.place.sandbox / "jpki", half, photos) for half in halves)
        )
    signed = {number: one for half in made for number, one in half.items()}
    known = await _register(town, signed)
    issue = town.service("identity", Process.WORKER).extras["ports"]
    app = next(iter(issue.settings.resident_apps))
    applicants = []
    for number in numbers:
        token = issue.tokens.issue(
            subject=known[number],
            role=Role.RESIDENT,
            client_id=app,
            scopes=issue.scopes.resident,
            seconds=TOKEN_SECONDS,
            amr=("hwk", "pin"),
        )
        applicants.append(_applicant(number, token.token, signed[number].cms, photo=number in photos))
    return applicants


def sign(folder: Path, numbers: Sequence[int], with_photo: frozenset[int]) -> dict[int, Signed]:
    """Certificates and signatures of some residents; run in a process of its own."""
    authority = JpkiTestAuthority.load(folder).key("sign", GENERATION)
    keys = [new_key("rsa") for _ in range(KEYS)]
    answers, now = sample(), SystemClock().now()
    plain, photo = (signed_content(PROCEDURE, answers, hashes) for hashes in ([], [PHOTO_SHA256]))
    found = {}
    for number in numbers:
        key = keys[number % KEYS]
        holder = Holder(f"見本　{number}", "2", "319870514", "石川県鳳珠郡穴水町字見本町ロ１番地の２")
        certificate = issue_certificate(
            authority,
            key,
            attributes=holder.attributes(),
            not_before=now - timedelta(days=30),
            not_after=now + timedelta(days=1_000),
        )
        content = photo if number in with_photo else plain
        found[number] = Signed(certificate.serial_number, detached_cms(content, certificate, key, now))
    return found


async def _register(town: Town, signed: dict[int, Signed]) -> dict[int, UUID]:
    """What the 番号紐付 file has told identity long ago: whose certificates these are."""
    service = town.service("identity", Process.WORKER)
    sealer, now = service.extras["ports"].sealer, SystemClock().now()
    issuer = JpkiTestAuthority.load(town.place.sandbox / "jpki").key("sign", GENERATION).fingerprint
    ids = {number: new_id() for number in signed}
    certificates = []
    for number, one in signed.items():
        digest = persons.serial_digest(sealer, issuer, one.serial)
        certificates.append(
            CertificateSerial(
                id=new_id(),
                person_id=ids[number],
                issuer=issuer,
                generation=GENERATION,
                purpose=Purpose.SIGN.value,
                serial_digest=digest,
                serial_sealed=persons.seal_serial(sealer, digest, one.serial),
                linked_at=now,
            )
        )
    async with service.database.running() as database, database.begin() as session:
        session.add_all(
            Person(id=person_id, version=1, event_sequence=0, addressee_number=f"9{number:012d}", registered_at=now)
            for number, person_id in ids.items()
        )
        await session.flush()
        session.add_all(certificates)
    return ids


def _applicant(number: int, token: str, cms: bytes, *, photo: bool) -> Applicant:
    body: dict[str, Any] = {
        "procedure_code": PROCEDURE,
        "answers": sample(),
        "signature": base64.b64encode(cms).decode(),
    }
    upload = None
    if photo:
        attachment = str(new_id())
        body["attachments"] = [{"id": attachment, "sha256": PHOTO_SHA256}]
        path = f"{ATTACHMENTS}/{attachment}?kind=insured_card"
        upload = request("PUT", path, token, PHOTO, media_type="image/jpeg", Idempotency_Key=str(new_id()))
    content = json.dumps(body, ensure_ascii=False).encode()
    return Applicant(number, request("POST", APPLICATIONS, token, content, Idempotency_Key=str(new_id())), upload)

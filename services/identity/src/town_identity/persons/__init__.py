"""本人 — one person per 宛名番号, and the certificates (発行番号) that are known to be hers."""

from town_identity.persons.events import PersonLinked, PersonRegistered
from town_identity.persons.models import CertificateSerial, Person
from town_identity.persons.service import (
    find_or_register,
    give_number,
    merge,
    question_of,
    register,
    seal_serial,
    serial_digest,
)

__all__ = [
    "CertificateSerial",
    "Person",
    "PersonLinked",
    "PersonRegistered",
    "find_or_register",
    "give_number",
    "merge",
    "question_of",
    "register",
    "seal_serial",
    "serial_digest",
]

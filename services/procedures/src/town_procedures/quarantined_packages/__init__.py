"""隔離 — packages that could not be taken as they came and wait for a clerk (行政手続法7条)."""

from town_procedures.quarantined_packages.domain import State
from town_procedures.quarantined_packages.models import QuarantinedPackage
from town_procedures.quarantined_packages.repository import locked, of_raw_package, one
from town_procedures.quarantined_packages.service import quarantine, quarantine_again, recorded

__all__ = [
    "QuarantinedPackage",
    "State",
    "locked",
    "of_raw_package",
    "one",
    "quarantine",
    "quarantine_again",
    "recorded",
]

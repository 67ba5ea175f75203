"""個人番号 — the vault: the only place where My Numbers are opened and kept (番号法 第9条・第12条・第20条)."""

from town_standardization.my_numbers.errors import NumberConflict
from town_standardization.my_numbers.events import PUBLISHED, MyNumberDeposited
from town_standardization.my_numbers.service import Opening, deposit, holder_of, note_openings
from town_standardization.my_numbers.vault import NumberRefused, Vault

__all__ = [
    "PUBLISHED",
    "MyNumberDeposited",
    "NumberConflict",
    "NumberRefused",
    "Opening",
    "Vault",
    "deposit",
    "holder_of",
    "note_openings",
]

"""児童手当 (027) — child allowance (児童手当法)."""

from town_standardization.adapters.child_allowance.adapter import ChildAllowance

__all__ = ["ADAPTER"]

ADAPTER = ChildAllowance()

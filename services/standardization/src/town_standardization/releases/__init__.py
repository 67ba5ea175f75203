"""再受付 — packages a clerk has released from quarantine, read in the vault and handed in again."""

from town_standardization.releases.hand_in import hand_in_batch

__all__ = ["hand_in_batch"]

"""Standardization (標準化対象20業務・団体内統合宛名): adapters, addressees, the My Number vault."""

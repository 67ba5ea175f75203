"""介護保険 (023) — long-term care insurance (介護保険法)."""

from town_standardization.adapters.care_insurance.adapter import CareInsurance

__all__ = ["ADAPTER"]

ADAPTER = CareInsurance()

"""Which counterpart stands behind each port; chosen here and nowhere else."""

from town_standardization.adapters import Adapter
from town_standardization.adapters.care_insurance import CareInsurance
from town_standardization.adapters.child_allowance import ChildAllowance

ADAPTERS: tuple[Adapter, ...] = (ChildAllowance(), CareInsurance())

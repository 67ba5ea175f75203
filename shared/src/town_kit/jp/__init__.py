"""Japanese value objects: numbers with check digits, calendar, ages, readings, addresses, characters. Pure, no I/O."""

from town_kit.jp.addresses import Address
from town_kit.jp.ages import attained_on, fiscal_year_end_after
from town_kit.jp.business_days import BusinessDays
from town_kit.jp.codes import CorporateNumber, MunicipalityCode
from town_kit.jp.my_number import MyNumber, contains_my_number, mask_my_numbers
from town_kit.jp.wareki import Wareki, fiscal_year, fiscal_year_end, fiscal_year_label, fiscal_year_start

__all__ = [
    "Address",
    "BusinessDays",
    "CorporateNumber",
    "MunicipalityCode",
    "MyNumber",
    "Wareki",
    "attained_on",
    "contains_my_number",
    "fiscal_year",
    "fiscal_year_end",
    "fiscal_year_end_after",
    "fiscal_year_label",
    "fiscal_year_start",
    "mask_my_numbers",
]

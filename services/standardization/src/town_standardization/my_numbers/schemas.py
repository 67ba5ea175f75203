"""Wire models of the vault."""

from pydantic import Field

from town_kit.schemas import Input, Output


class SearchRequest(Input):
    """個人番号による検索。完全一致だけです。"""

    my_number: str = Field(pattern=r"^[0-9]{12}$", description="個人番号（12桁）")
    business_id: str = Field(pattern=r"^[0-9]{3}$", description="業務ID")
    purpose: str = Field(min_length=1, max_length=100, description="利用目的（事務の名称）")


class FoundAddressee(Output):
    """見つかった宛名。個人番号は下4桁だけを示します。"""

    addressee_number: str
    masked: str

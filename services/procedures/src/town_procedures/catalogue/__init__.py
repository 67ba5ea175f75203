"""手続カタログ — procedures as folders of data: form, checks, messages, mapping, samples (行政手続法 第5条・第6条)."""

from town_procedures.catalogue.folder import (
    AttachedFile,
    AttachmentRule,
    CatalogueError,
    PartyRule,
    Procedure,
    load_catalogue,
    load_folder,
)
from town_procedures.catalogue.form import MY_NUMBER_IN_TEXT, my_number_pointers
from town_procedures.catalogue.pointers import find

__all__ = [
    "MY_NUMBER_IN_TEXT",
    "AttachedFile",
    "AttachmentRule",
    "CatalogueError",
    "PartyRule",
    "Procedure",
    "find",
    "load_catalogue",
    "load_folder",
    "my_number_pointers",
]

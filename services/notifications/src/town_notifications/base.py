"""The base of this service's tables: one metadata, one database."""

from town_kit.db import Base as KitBase


class Base(KitBase):
    """Base of the tables of `notifications`."""

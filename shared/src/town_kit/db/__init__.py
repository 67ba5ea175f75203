"""One PostgreSQL database per service: engine, transaction, base of the tables, migrations."""

from town_kit.db.base import Aggregate, Base, UtcDateTime
from town_kit.db.engine import Database, TownSession, assert_durable

__all__ = ["Aggregate", "Base", "Database", "TownSession", "UtcDateTime", "assert_durable"]

"""Alembic environment of `standardization`."""

from town_kit.db.migrations import run_env

run_env()

"""Alembic environment of `identity`."""

from town_kit.db.migrations import run_env

run_env()

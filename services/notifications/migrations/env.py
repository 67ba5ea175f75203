"""Alembic environment of `notifications`."""

from town_kit.db.migrations import run_env

run_env()

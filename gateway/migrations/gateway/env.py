"""Alembic's entry point; the work is the kit's."""

from town_kit.db.migrations import run_env

run_env()

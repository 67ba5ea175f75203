"""``python -m town_sandbox.jpki``."""

from town_sandbox.jpki.cli import app

app()

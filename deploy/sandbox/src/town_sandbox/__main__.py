"""``python -m town_sandbox``."""

from town_sandbox.main import app

app()

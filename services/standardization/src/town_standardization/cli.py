"""Commands of `standardization`."""

from town_kit.cli import service_cli
from town_standardization.main import create_service
from town_standardization.settings import StandardizationSettings

app = service_cli(lambda: create_service(StandardizationSettings()))

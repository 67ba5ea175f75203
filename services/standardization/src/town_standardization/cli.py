"""Commands of `standardization`."""

from town_kit.cli import service_cli
from town_kit.rewrapping import Wrapped, key_commands
from town_kit.service import Service
from town_standardization.main import create_service
from town_standardization.my_numbers import NumberRefused
from town_standardization.ports import Ports
from town_standardization.settings import StandardizationSettings


def _service() -> Service:
    return create_service(StandardizationSettings())


def _my_numbers(service: Service) -> Wrapped:
    ports: Ports = service.extras["ports"]
    return Wrapped("my_numbers", ports.vault.rewrap, NumberRefused)


app = service_cli(_service)
app.add_typer(key_commands(_service, _my_numbers), name="keys")

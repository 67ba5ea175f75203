"""Commands of `procedures`."""

from town_kit.cli import service_cli
from town_procedures.main import create_service
from town_procedures.settings import ProceduresSettings

app = service_cli(lambda: create_service(ProceduresSettings()))

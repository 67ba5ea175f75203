"""Commands of `procedures`."""

from town_kit.blobs import BlobDamaged
from town_kit.cli import service_cli
from town_kit.rewrapping import Wrapped, key_commands
from town_kit.service import Service
from town_procedures.main import create_service
from town_procedures.ports import Ports
from town_procedures.settings import ProceduresSettings


def _service() -> Service:
    return create_service(ProceduresSettings())


def _files(service: Service) -> Wrapped:
    ports: Ports = service.extras["ports"]
    return Wrapped("blobs", ports.blobs.rewrap, BlobDamaged, condition="recipient = 'service'")


app = service_cli(_service)
app.add_typer(key_commands(_service, _files), name="keys")

"""Commands of the gateway and of the connector."""

from town_gateway.main import create_connector, create_gateway, create_service
from town_gateway.settings import ConnectorSettings, GatewaySettings
from town_kit.cli import service_cli

gateway = service_cli(lambda: create_service(GatewaySettings()), application=create_gateway)
connector = service_cli(lambda: create_connector(ConnectorSettings()))

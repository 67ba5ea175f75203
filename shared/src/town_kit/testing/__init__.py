"""The pytest plugin of the town: fixtures that give tests the real thing (enabled by the entry point ``town_kit``)."""

from town_kit.testing.auth import Issuer, eventually, issuer
from town_kit.testing.groups import pytest_collection_modifyitems
from town_kit.testing.kafka import kafka_bootstrap, kafka_node
from town_kit.testing.postgres import PostgresServer, postgres_server

__all__ = [
    "Issuer",
    "PostgresServer",
    "eventually",
    "issuer",
    "kafka_bootstrap",
    "kafka_node",
    "postgres_server",
    "pytest_collection_modifyitems",
]

"""The services of the town: where each belongs and how it is made. Adding a service is adding a row."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import town_gateway.main
import town_gateway.mynaportal.restoring
import town_gateway.settings
import town_identity.main
import town_identity.settings
import town_notifications.main
import town_notifications.restoring
import town_notifications.settings
import town_procedures.main
import town_procedures.restoring
import town_procedures.settings
import town_standardization.main
import town_standardization.restoring
import town_standardization.settings
from town_kit.restoring import Restoring
from town_kit.service import Service
from town_kit.settings import ServiceSettings, Zone


@dataclass(frozen=True)
class Entry:
    """One service.

    Attributes:
        name: also of its database and of its settings' prefix.
        zone: the network zone it runs in.
        settings: its settings class.
        create: makes it from its settings.
        migrations: folder of its migrations.
        command: module and object of its command line, for a process of its own.
        serves: it answers requests (the connector only works).
        vault: it runs in the vault's process.
        urgent: it has urgent jobs, which run in a process of their own.
        restoring: what it adds to a restore.
    """

    name: str
    zone: Zone
    settings: type[ServiceSettings]
    create: Callable[[Any], Service]
    migrations: Path
    command: str
    serves: bool = True
    vault: bool = False
    urgent: bool = False
    restoring: Restoring = field(default_factory=Restoring)


ENTRIES: tuple[Entry, ...] = (
    Entry(
        "identity",
        Zone.LGWAN,
        town_identity.settings.IdentitySettings,
        town_identity.main.create_service,
        town_identity.main.MIGRATIONS,
        "town_identity.cli:app",
    ),
    Entry(
        "procedures",
        Zone.LGWAN,
        town_procedures.settings.ProceduresSettings,
        town_procedures.main.create_service,
        town_procedures.main.MIGRATIONS,
        "town_procedures.cli:app",
        restoring=town_procedures.restoring.RESTORING,
    ),
    Entry(
        "standardization",
        Zone.MY_NUMBER,
        town_standardization.settings.StandardizationSettings,
        town_standardization.main.create_service,
        town_standardization.main.MIGRATIONS,
        "town_standardization.cli:app",
        vault=True,
        restoring=town_standardization.restoring.RESTORING,
    ),
    Entry(
        "notifications",
        Zone.INTERNET,
        town_notifications.settings.NotificationsSettings,
        town_notifications.main.create_service,
        town_notifications.main.MIGRATIONS,
        "town_notifications.cli:app",
        urgent=True,
        restoring=town_notifications.restoring.RESTORING,
    ),
    Entry(
        "gateway",
        Zone.INTERNET,
        town_gateway.settings.GatewaySettings,
        town_gateway.main.create_service,
        town_gateway.main.MIGRATIONS / "gateway",
        "town_gateway.cli:gateway",
    ),
    Entry(
        "connector",
        Zone.LGWAN,
        town_gateway.settings.ConnectorSettings,
        town_gateway.main.create_connector,
        town_gateway.main.MIGRATIONS / "connector",
        "town_gateway.cli:connector",
        serves=False,
        restoring=town_gateway.mynaportal.restoring.RESTORING,
    ),
)
BY_NAME = {entry.name: entry for entry in ENTRIES}

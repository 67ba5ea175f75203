"""Before the load everybody can be reached, and after it somebody looks: what both need to know of the town."""

import httpx
from tests.faults.counting import Town
from tests.faults.flows import OUTSIDE_REACHED
from tests.faults.town import Ground

from town_kit.messaging.kafka import KafkaLog
from town_kit.messaging.pglog import PgLog
from town_kit.messaging.transport import Transport
from town_kit.settings import Zone
from town_onebox import secrets
from town_onebox.assembly import LOG_DATABASES
from town_onebox.journey import people


async def reachable(ground: Ground) -> None:
    """One of the residents has a device and a mail address, so that the outside world hears of her applications."""
    town = ground.town.town
    outside = town.sandbox_addresses()
    async with httpx.AsyncClient(base_url=town.public_url, timeout=30, trust_env=False) as client:
        own = await people.resident(town, client, OUTSIDE_REACHED)
        await people.can_be_reached(
            client, own, device="fault-device", address="faults@example.jp", mailbox=outside["smtp_control"]
        )


def looked_into(ground: Ground) -> Town:
    """Where the count looks; the log is read past the proxies where that is possible."""
    passwords = {**ground.town.town.secrets.databases, **secrets.read_vault(ground.town.place).databases}

    def log_of(zone: Zone) -> Transport:
        if ground.broker is not None:
            return KafkaLog(ground.broker.bootstrap)
        name = LOG_DATABASES[zone]
        host, port = ground.town.town.server
        return PgLog(f"postgresql://{name}_app:{passwords[name].app}@{host}:{port}/{name}")

    return Town(ground.town, log_of)

"""Which log a process speaks to: the transport its settings name, for one zone."""

from town_kit.messaging.pglog import PgLog
from town_kit.messaging.transport import Transport
from town_kit.settings import ServiceSettings, Zone


def connect(settings: ServiceSettings, zone: Zone) -> Transport:
    """The log of ``zone`` as these settings name it.

    Raises:
        LookupError: the process has no address of that log.
        RuntimeError: a file its security names cannot be used.
    """
    address = settings.log_urls.get(zone)
    if address is None:
        raise LookupError(f"no address of the event log of {zone} (log_urls)")
    if settings.transport == "kafka":
        from town_kit.messaging.kafka import KafkaLog  # a town on pglog never loads Kafka's client

        return KafkaLog(address.get_secret_value(), settings.log_security.get(zone))
    return PgLog(address.get_secret_value())


async def reachable(settings: ServiceSettings, zone: Zone) -> None:
    """Ask the log of ``zone`` whether it answers.

    Raises:
        LookupError: the process has no address of that log.
        TransportError, OSError: it does not answer.
    """
    transport = connect(settings, zone)
    try:
        await transport.end_offsets(())
    finally:
        await transport.close()

"""What the load is told to do; a file between the harness and the load's process."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Orders:
    """Orders for the load.

    Attributes:
        directory: of the town.
        doors: the names of the gateway's and the vault's port.
        url: where the gateway answers.
        ledger: the file to write.
        rate: operations a second on average.
        portal: where the portal takes applications.
        portal_rate: of these, a second on average.
        residents: whose cards are used; see ``people.CARDS``.
        connections: sockets to the gateway.
    """

    directory: str
    doors: Sequence[str]
    url: str
    ledger: str
    rate: float
    portal: str
    portal_rate: float = 0.5
    residents: Sequence[str] = ("hanako", "taro", "fumi")
    connections: int = 200

"""The directory of one town (``.town``): what stands where, and who may read it."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

LONGEST_SOCKET_PATH = 100


@dataclass(frozen=True)
class Place:
    """The paths of one town.

    Attributes:
        directory: everything the town keeps; ``make reset`` removes it.
    """

    directory: Path

    @property
    def postgres(self) -> Path:
        """Data, password and log of the database server."""
        return self.directory / "postgres"

    @property
    def secrets(self) -> Path:
        """What was made at the first start and must not be lost (0600)."""
        return self.directory / "secrets.json"

    @property
    def keys(self) -> Path:
        """Signing keys as PEM files (0600)."""
        return self.directory / "keys"

    @property
    def vault(self) -> Path:
        """What only the vault may read: its keys and its passwords (0700, of the vault's own user)."""
        return self.directory / "vault"

    @property
    def key_ring(self) -> Path:
        """The keys with which identity signs tokens."""
        return self.keys / "identity"

    @property
    def vault_secrets(self) -> Path:
        """The vault's passwords and symmetric keys."""
        return self.vault / "secrets.json"

    @property
    def vault_private_key(self) -> Path:
        """The key to which every My Number is encrypted (PEM)."""
        return self.vault / "vault-private-key.pem"

    @property
    def vault_public_key(self) -> Path:
        """The public half of the vault's key; everybody encrypts to it."""
        return self.directory / "vault-public-key.json"

    @property
    def environments(self) -> Path:
        """One file of settings per service, for the distributed mode (0600)."""
        return self.directory / "environments"

    @property
    def logs(self) -> Path:
        """One file per process."""
        return self.directory / "logs"

    @property
    def sandbox(self) -> Path:
        """The outside world's directory."""
        return self.directory / "sandbox"

    @property
    def kafka(self) -> Path:
        """Data of the broker in distributed mode."""
        return self.directory / "kafka"

    @property
    def drop(self) -> Path:
        """Where standard files wait for the core systems (ファイル連携)."""
        return self.directory / "files"

    @property
    def clients(self) -> Path:
        """Which clients may ask identity for tokens."""
        return self.directory / "clients.yaml"

    @property
    def fcm_service_account(self) -> Path:
        """The account with which pushes are sent in a trial, as Google hands it out."""
        return self.keys / "fcm-service-account.json"

    @property
    def ports(self) -> Path:
        """The ports of the last run; they are taken again when free."""
        return self.directory / "ports.json"

    @property
    def served(self) -> Path:
        """How the town was served last: zones, address, sandbox, environment."""
        return self.directory / "served.json"

    @property
    def restored(self) -> Path:
        """Written by a restore: from when the data is, and whether it was compared with the outside."""
        return self.directory / "restored.json"

    @property
    def reports(self) -> Path:
        """What the comparisons after a restore found."""
        return self.directory / "reports"

    @property
    def showcase(self) -> Path:
        """What the first page shows of a trial."""
        return self.directory / "showcase"

    def internal_socket(self, service: str) -> Path:
        """The socket on which a LGWAN service listens for the vault and the worker (0660).

        A socket's path has about 100 bytes; a longer one goes to ``/var/tmp``.
        """
        wanted = self.directory / "internal" / f"{service}.sock"
        if len(str(wanted)) <= LONGEST_SOCKET_PATH:
            return wanted
        digest = hashlib.sha256(str(self.directory).encode()).hexdigest()[:16]
        return Path("/var/tmp") / f"town-{os.geteuid()}-{digest}" / f"{service}.sock"  # noqa: S108 - made 0700 by us

    def make(self) -> None:
        """Make the folders that are not there yet."""
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o755)
        for folder, mode in (
            (self.keys, 0o700),
            (self.environments, 0o700),
            (self.logs, 0o755),
            (self.drop, 0o755),
            (self.showcase, 0o755),
            (self.internal_socket("any").parent, 0o750),
        ):
            folder.mkdir(exist_ok=True, mode=mode)

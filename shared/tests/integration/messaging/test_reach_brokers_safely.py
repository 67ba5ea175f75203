"""Apache Kafka behind TLS: who is let in and who is kept out, at a real broker."""

import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from town_kit.clock import SystemClock
from town_kit.ids import new_id
from town_kit.messaging.kafka import KafkaLog
from town_kit.messaging.kafka_security import KafkaSecurity
from town_kit.messaging.topics import TopicSpec
from town_kit.messaging.transport import Outgoing, Position, TransportError
from town_kit.testing.kafka import start_node

pytestmark = [pytest.mark.kafka, pytest.mark.xdist_group("kafka-tls"), pytest.mark.timeout(180)]
PASSWORD = "correct-horse"
MODULES = "org.apache.kafka.common.security"


@dataclass(frozen=True)
class Authority:
    """A certificate authority of one test run, and the folder where what it issues is put."""

    folder: Path
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def ca(self) -> Path:
        return self.folder / "ca.pem"

    def issue(self, name: str) -> tuple[Path, Path]:
        """Certificate and key for ``name`` on this machine."""
        key = ec.generate_private_key(ec.SECP256R1())
        here = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))])
        builder = certificate(name, key, self.certificate.subject).add_extension(here, critical=False)
        issued = builder.sign(self.key, SHA256())
        paths = (self.folder / f"{name}.pem", self.folder / f"{name}.key")
        paths[0].write_bytes(issued.public_bytes(Encoding.PEM))
        paths[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return paths


def certificate(name: str, key: ec.EllipticCurvePrivateKey, issuer: x509.Name) -> x509.CertificateBuilder:
    now = SystemClock().now()
    builder = x509.CertificateBuilder().subject_name(named(name)).issuer_name(issuer).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    return builder.not_valid_before(now - timedelta(minutes=5)).not_valid_after(now + timedelta(days=1))


def named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def authority(folder: Path) -> Authority:
    folder.mkdir()
    key = ec.generate_private_key(ec.SECP256R1())
    builder = certificate("authority", key, named("authority"))
    own = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True).sign(key, SHA256())
    (folder / "ca.pem").write_bytes(own.public_bytes(Encoding.PEM))
    return Authority(folder, own, key)


@dataclass(frozen=True)
class Brokers:
    """One node with a listener for certificates and one for passwords."""

    addresses: dict[str, str]
    trusted: Authority
    stranger: Authority

    def security(self, protocol: str, **changes: Any) -> KafkaSecurity:
        """What lets a client in, changed."""
        cert, key = self.trusted.issue("client")
        password = self.trusted.folder / "password"
        password.write_text(PASSWORD + "\n")
        own = (
            {"certificate": cert, "key": key} if protocol == "SSL" else {"username": "town", "password_file": password}
        )
        return KafkaSecurity(**{"protocol": protocol, "ca": self.trusted.ca, **own, **changes})


@pytest.fixture(scope="module")
def brokers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Brokers]:
    folder = tmp_path_factory.mktemp("tls")
    trusted, stranger = authority(folder / "trusted"), authority(folder / "stranger")
    chain, key = trusted.issue("broker")
    (folder / "keystore.pem").write_bytes(key.read_bytes() + chain.read_bytes())
    ports = dict(zip(("SSL", "SASL_SSL"), free_ports(2), strict=True))
    properties = {
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(folder / "keystore.pem"),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(trusted.ca),
        "listener.name.ssl.ssl.client.auth": "required",
        "sasl.enabled.mechanisms": "SCRAM-SHA-512,PLAIN",
        "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": f"{MODULES}.scram.ScramLoginModule required;",
        "listener.name.sasl_ssl.plain.sasl.jaas.config": (
            f'{MODULES}.plain.PlainLoginModule required user_town="{PASSWORD}";'
        ),
    }
    node = start_node(folder / "node", listeners=ports, properties=properties, users={"town": PASSWORD})
    yield Brokers({name: f"127.0.0.1:{port}" for name, port in ports.items()}, trusted, stranger)
    node.stop()


def free_ports(count: int) -> list[int]:
    taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in taken]
    for one in taken:
        one.close()
    return ports


async def write_and_read(log: KafkaLog) -> bytes:
    topic = f"test-{new_id().hex}.things"
    try:
        await log.create_topics([TopicSpec(topic, partitions=1)])
        producer = await log.producer()
        (placed,) = await producer.send([Outgoing(topic, b"key", (), b"value")])
        await producer.close()
        assert isinstance(placed, Position), placed
        assert await log.end_offsets([topic]) == {(topic, 0): 1}
        reader = await log.reader(f"group-{topic}", [topic])
        found = await reader.fetch(1, timedelta(seconds=20))
        await reader.close()
        return found[0].value
    finally:
        await log.close()


@pytest.mark.parametrize(
    ("protocol", "changes"),
    [("SSL", {}), ("SASL_SSL", {}), ("SASL_SSL", {"mechanism": "PLAIN"})],
    ids=["client certificate", "SCRAM-SHA-512", "PLAIN"],
)
async def test_who_has_what_the_brokers_ask_for_writes_and_reads(
    brokers: Brokers, protocol: str, changes: dict[str, Any]
) -> None:
    log = KafkaLog(brokers.addresses[protocol], brokers.security(protocol, **changes))
    assert await write_and_read(log) == b"value"


async def test_who_lacks_it_is_kept_out(brokers: Brokers) -> None:
    stranger = brokers.stranger.issue("client")
    wrong = brokers.trusted.folder / "wrong-password"
    wrong.write_text("wrong")
    kept_out = {
        "an open connection": ("SSL", None),
        "no certificate": ("SSL", brokers.security("SSL", certificate=None, key=None)),
        "a stranger's certificate": ("SSL", brokers.security("SSL", certificate=stranger[0], key=stranger[1])),
        "brokers nobody trusts": ("SSL", brokers.security("SSL", ca=brokers.stranger.ca)),
        "a wrong password": ("SASL_SSL", brokers.security("SASL_SSL", password_file=wrong)),
        "no password": ("SASL_SSL", brokers.security("SSL")),
    }
    for what, (protocol, security) in kept_out.items():
        log = KafkaLog(brokers.addresses[protocol], security)
        with pytest.raises(TransportError) as refused:
            await log.end_offsets(["things"])
        assert "wrong" not in str(refused.value), what
        await log.close()


def test_the_brokers_name_is_checked(brokers: Brokers) -> None:
    context = brokers.security("SSL").options()["ssl_context"]
    assert context.check_hostname
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2

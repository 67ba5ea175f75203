"""One Apache Kafka node (KRaft) on loopback, for trial, drill, tests and benches; production has a cluster of its own.

It needs Java 17 or newer, and Maven for the first start: the jars of ``deploy/kafka/pom.xml`` are resolved once.
"""

import fcntl
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from town_kit.db.server import die_with_parent

DEPLOY = Path(__file__).resolve().parents[4] / "deploy" / "kafka"
LIBS = "TOWN_KAFKA_LIBS"
CLUSTER_ID = "TownTownTownTownTownTQ"
START_SECONDS = 60.0
STOP_SECONDS = 10.0
MEMORY = ("-Xms128m", "-Xmx384m", "-XX:+UseSerialGC")

_PROPERTIES = """process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}{also}
advertised.listeners=PLAINTEXT://127.0.0.1:{advertised}{also}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SSL:SSL,SASL_SSL:SASL_SSL
log.dirs={data}
auto.create.topics.enable=false
default.replication.factor=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=2
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
# After a kill the node waits for its own old registration to expire.
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=300
"""


class NoKafka(RuntimeError):
    """A node cannot be started here; the message says what is missing."""


def missing() -> str | None:
    """What this machine lacks to start a node, or None."""
    absent = [tool for tool in ("java", "mvn") if shutil.which(tool) is None]
    return f"{' and '.join(absent)} not found" if absent else None


def libraries(folder: Path) -> Path:
    """The jars in ``folder``, resolved when they are not those of the pom."""
    pom = DEPLOY / "pom.xml"
    version = hashlib.sha256(pom.read_bytes()).hexdigest()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a") as alone:
        fcntl.flock(alone, fcntl.LOCK_EX)
        stamp = folder / ".pom"
        if stamp.exists() and stamp.read_text() == version:
            return folder
        lack = missing()
        if lack:
            raise NoKafka(f"Apache Kafka needs Java 17 and Maven: {lack}")
        for jar in folder.glob("*.jar"):
            jar.unlink()
        command = ["mvn", "-q", "-B", "-f", str(pom), "dependency:copy-dependencies", f"-DoutputDirectory={folder}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)  # noqa: S603 - fixed command
        if done.returncode:
            raise NoKafka(f"Maven could not resolve Apache Kafka: {(done.stdout + done.stderr)[-2000:]}")
        stamp.write_text(version)
    return folder


class KafkaNode:
    """A node with its directory; what it keeps survives a stop and a kill.

    Args:
        directory: data, settings and log of the node.
        jars: folder of the jars; ``<directory>/libs`` by default.
        listeners: further listeners on loopback (SSL, SASL_SSL) and their ports.
        properties: further settings of the broker, over those given here.
        users: name → password for SCRAM-SHA-512, made with the node's storage.

    Attributes:
        advertised: the port on loopback the broker sends its clients to; None for its own. Whoever puts something
            between sets it before the start.
    """

    def __init__(
        self,
        directory: Path,
        jars: Path | None = None,
        *,
        listeners: Mapping[str, int] | None = None,
        properties: Mapping[str, str] | None = None,
        users: Mapping[str, str] | None = None,
    ) -> None:
        self.directory = directory.resolve()
        self._listeners = dict(listeners or {})
        self._properties = dict(properties or {})
        self._users = dict(users or {})
        self.advertised: int | None = None
        self._jars = (jars or directory / "libs").resolve()
        self._process: subprocess.Popen[bytes] | None = None
        self._ports = self._remembered_ports()

    @property
    def bootstrap(self) -> str:
        """Where clients connect."""
        return f"127.0.0.1:{self.advertised or self.port}"

    @property
    def port(self) -> int:
        """Where the broker itself listens."""
        return self._ports[0]

    @property
    def pid(self) -> int | None:
        """The running broker's process."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self) -> "KafkaNode":
        """Start and wait until it listens.

        Raises:
            NoKafka: it did not start; the message holds the end of its log.
        """
        jars = libraries(self._jars)
        if shutil.which("java") is None:
            raise NoKafka("Apache Kafka needs Java 17: java not found")
        data = self.directory / "data"
        properties = self.directory / "server.properties"
        self.directory.mkdir(parents=True, exist_ok=True)
        if not _free(self._ports):
            self._ports = self._new_ports()
        broker, controller = self._ports
        also = "".join(f",{protocol}://127.0.0.1:{port}" for protocol, port in self._listeners.items())
        written = _PROPERTIES.format(
            broker=broker, controller=controller, advertised=self.advertised or broker, also=also, data=data
        )
        properties.write_text(written + "".join(f"{name}={value}\n" for name, value in self._properties.items()))
        java = [
            "java",
            *MEMORY,
            f"-Dlog4j2.configurationFile={DEPLOY / 'log4j2.properties'}",
            f"-Dtown.kafka.log={self.directory / 'kafka.log'}",
            "-cp",
            f"{jars}/*",
        ]
        if not (data / "meta.properties").exists():
            tool = [*java, "kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", str(properties)]
            for name, password in self._users.items():
                tool += ["--add-scram", f"SCRAM-SHA-512=[name={name},password={password}]"]
            done = subprocess.run(tool, capture_output=True, text=True, check=False)  # noqa: S603 - fixed command
            if done.returncode:
                raise NoKafka((done.stdout + done.stderr)[-2000:])
        with (self.directory / "output.log").open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 - fixed command
                [*java, "kafka.Kafka", str(properties)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=die_with_parent(signal.SIGTERM),
            )
        self._wait()
        return self

    def stop(self) -> None:
        """End it in order; after a while, at once."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def kill(self) -> None:
        """End it as a power cut would (SIGKILL)."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def wipe(self) -> None:
        """Lose all it keeps; only while it does not run."""
        if self.pid is not None:
            raise NoKafka("the node is running")
        shutil.rmtree(self.directory / "data", ignore_errors=True)

    def _remembered_ports(self) -> tuple[int, int]:
        kept = self.directory / "ports.json"
        if kept.exists():
            broker, controller = json.loads(kept.read_text())
            return broker, controller
        return self._new_ports()

    def _new_ports(self) -> tuple[int, int]:
        self.directory.mkdir(parents=True, exist_ok=True)
        with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
            ports = (one.getsockname()[1], other.getsockname()[1])
        (self.directory / "ports.json").write_text(json.dumps(ports))
        return ports

    def _wait(self) -> None:
        assert self._process is not None
        give_up = time.monotonic() + START_SECONDS
        while time.monotonic() < give_up:
            if self._process.poll() is not None:
                break
            with socket.socket() as probe:
                probe.settimeout(1)
                if probe.connect_ex(("127.0.0.1", self._ports[0])) == 0:
                    return
            time.sleep(0.05)
        words = "".join(
            path.read_text(errors="replace")[-1500:]
            for path in (self.directory / "output.log", self.directory / "kafka.log")
            if path.exists()
        )
        self.kill()
        raise NoKafka(f"Apache Kafka did not start: {words}")


def _free(ports: tuple[int, int]) -> bool:
    for port in ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True


def start_kafka(directory: Path, jars: Path | None = None) -> KafkaNode:
    """A running node whose data stand in ``directory``; ``TOWN_KAFKA_LIBS`` names jars that several nodes share."""
    shared = os.environ.get(LIBS)
    return KafkaNode(directory, jars or (Path(shared) if shared else None)).start()

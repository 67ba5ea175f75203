"""``make kafka``: one Apache Kafka node on loopback until Ctrl-C; prints what tests and services are told."""

import signal
import sys
from pathlib import Path

from town_kit.messaging.kafka_node import NoKafka, start_kafka


def main(directory: Path) -> int:
    """Start, say where, wait, stop."""
    try:
        node = start_kafka(directory)
    except NoKafka as failure:
        print(failure, file=sys.stderr)
        return 1
    print(f"export KAFKA_BOOTSTRAP_SERVERS={node.bootstrap}", flush=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        signal.pause()
    except KeyboardInterrupt:
        node.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))

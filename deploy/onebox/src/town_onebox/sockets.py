"""Listening sockets: bound before the fork, kept open by the supervisor, taken again at the next start when free."""

import json
import os
import socket
from pathlib import Path

BACKLOG = 1024


class Ports:
    """The ports of a town, remembered from one run to the next.

    Args:
        file: where they are remembered.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._ports: dict[str, int] = json.loads(file.read_text()) if file.exists() else {}

    def listen(self, name: str, host: str, preferred: int, children: int = 1) -> list[socket.socket]:
        """One listening socket per child, all on one port, so that the kernel spreads the callers over them.

        Args:
            name: under which the port is remembered.
            host: the address to listen on.
            preferred: tried when nothing is remembered; any free one is taken when it is not free.
            children: how many processes accept; one shared socket would give most callers to the busiest.
        """
        port = self.reserve(name, host, preferred)
        sockets = []
        for _ in range(children):
            one = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            one.bind((host, port))
            one.listen(BACKLOG)
            one.setblocking(False)
            sockets.append(one)
        return sockets

    def reserve(self, name: str, host: str, preferred: int) -> int:
        """A port that is free now, for a process that binds it itself."""
        port = _free_port(host, (self._ports.get(name, preferred), preferred, 0))
        self._ports[name] = port
        self._file.write_text(json.dumps(self._ports, indent=2))
        return port


def listen_at(path: Path, group: int) -> socket.socket:
    """A listening socket file that its owner and group may use (0660).

    uvicorn would make it 0666 whatever the umask says.
    """
    path.unlink(missing_ok=True)
    one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    one.bind(str(path))
    os.chown(path, -1, group)
    path.chmod(0o660)
    one.listen(BACKLOG)
    one.setblocking(False)
    return one


def _free_port(host: str, candidates: tuple[int, ...]) -> int:
    """The first candidate nobody listens on; asked without SO_REUSEPORT, which would also join somebody else's."""
    for port in candidates:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError(f"no free port on {host}")

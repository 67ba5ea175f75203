"""A TCP proxy on loopback that does to a connection what networks do: silence, resets, delay, one deaf side.

A fault holds for the connections that are open and for those that come, until :meth:`Proxy.heal`. Only half-open
connections never recover: the other side has forgotten them, and a new connection works at once.
"""

import asyncio
import contextlib
import socket
import struct
from collections import deque
from typing import Literal, Self

Direction = Literal["up", "down"]

CHUNK = 64 * 1024
HELD_CHUNKS = 16
AT_ONCE = struct.pack("ii", 1, 0)  # SO_LINGER of 0 s: closing sends RST


class Proxy:
    """Passes connections on to a target; ``async with`` starts and ends it.

    Args:
        target_host: where connections go.
        target_port: 〃
        port: where it listens on loopback; 0 for a free one.

    Attributes:
        port: where it listens.
    """

    def __init__(self, target_host: str, target_port: int, *, port: int = 0) -> None:
        self.target = (target_host, target_port)
        self.port = port
        self._server: asyncio.Server | None = None
        self._connections: set[_Connection] = set()
        self._open = {"up": asyncio.Event(), "down": asyncio.Event()}
        self._resetting = False
        self._seconds = 0.0
        self._bytes_per_second: float | None = None

    async def __aenter__(self) -> Self:
        self.heal()
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", self.port, limit=CHUNK)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for connection in tuple(self._connections):
            connection.reset()
        while self._connections:
            await asyncio.sleep(0.01)

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._connections)

    def drop(self) -> None:
        """Let nothing through, either way. Connecting still succeeds, as through a balancer; no byte comes back."""
        self._only()

    def one_way(self, direction: Direction) -> None:
        """Let bytes through in this direction only: ``up`` is towards the target."""
        self._only(direction)

    def reset(self) -> None:
        """Reset (RST) what is open, and whoever connects."""
        self._resetting = True
        for connection in tuple(self._connections):
            connection.reset()

    def half_open(self) -> None:
        """End what is open on the target's side only; the client is told nothing, now or later."""
        for connection in tuple(self._connections):
            connection.forget()

    def latency(self, seconds: float) -> None:
        """Carry each byte this much later, in each direction."""
        self._seconds = seconds

    def bandwidth(self, bytes_per_s: float) -> None:
        """Carry at most so much per connection and direction."""
        self._bytes_per_second = bytes_per_s

    def heal(self) -> None:
        """End every fault; what was held back goes on its way."""
        self._resetting, self._seconds, self._bytes_per_second = False, 0.0, None
        self._only("up", "down")

    def _only(self, *directions: Direction) -> None:
        for name, passes in self._open.items():
            passes.set() if name in directions else passes.clear()

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection(writer)
        self._connections.add(connection)
        try:
            if not self._resetting and await connection.run(self, reader):
                await connection.close()
        finally:
            connection.reset()
            self._connections.discard(connection)

    async def carry(self, direction: Direction, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one direction of a connection until its end, under whatever fault holds at each moment.

        Raises:
            OSError: (in a group) one side has reset the connection, and the fault lets the other side know.
        """
        held: asyncio.Queue[tuple[float, bytes | OSError]] = asyncio.Queue(HELD_CHUNKS)
        loop = asyncio.get_running_loop()

        async def take() -> None:
            chunk: bytes | OSError = b"-"
            while isinstance(chunk, bytes) and chunk:
                try:
                    chunk = await reader.read(CHUNK)
                except OSError as error:
                    chunk = error
                await held.put((loop.time(), chunk))

        async def give() -> None:
            while True:
                came, chunk = await held.get()
                await asyncio.sleep(came + self._seconds - loop.time())
                await self._open[direction].wait()
                if isinstance(chunk, OSError):
                    raise chunk
                if not chunk:
                    writer.write_eof()
                    return
                for piece in self._pieces(chunk):
                    await self._open[direction].wait()
                    writer.write(piece)
                    await writer.drain()
                    if self._bytes_per_second:
                        await asyncio.sleep(len(piece) / self._bytes_per_second)

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(take())
            tasks.create_task(give())

    def _pieces(self, chunk: bytes) -> deque[bytes]:
        size = max(int((self._bytes_per_second or CHUNK * 20) / 20), 1)  # 20 pieces a second look like a slow line
        return deque(chunk[begin : begin + size] for begin in range(0, len(chunk), size))


class _Connection:
    """One connection through the proxy."""

    def __init__(self, client: asyncio.StreamWriter) -> None:
        self._client = client
        self._target: asyncio.StreamWriter | None = None
        self._carrying: asyncio.Task[None] | None = None
        self._forgotten = False
        self._ended = asyncio.Event()

    async def run(self, proxy: Proxy, from_client: asyncio.StreamReader) -> bool:
        """Carry both directions; True when both have ended in order, False when somebody broke it off."""
        try:
            from_target, self._target = await asyncio.open_connection(*proxy.target, limit=CHUNK)
        except OSError:
            return False  # the target refuses: so does the proxy
        self._carrying = asyncio.create_task(self._both(proxy, from_client, from_target))
        with contextlib.suppress(asyncio.CancelledError, ExceptionGroup):
            await self._carrying
            return True
        if self._forgotten and not self._ended.is_set():
            await self._until_client_leaves(from_client)
        return False

    async def _both(self, proxy: Proxy, client: asyncio.StreamReader, target: asyncio.StreamReader) -> None:
        assert self._target is not None
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(proxy.carry("up", client, self._target))
            tasks.create_task(proxy.carry("down", target, self._client))

    async def close(self) -> None:
        """Send what is left, then end."""
        for writer in (self._client, self._target):
            if writer is not None:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()

    async def _until_client_leaves(self, from_client: asyncio.StreamReader) -> None:
        leaving = asyncio.create_task(_swallow(from_client))
        reset = asyncio.create_task(self._ended.wait())
        await asyncio.wait({leaving, reset}, return_when=asyncio.FIRST_COMPLETED)
        leaving.cancel()
        reset.cancel()

    def forget(self) -> None:
        """Break with the target and leave the client in its belief."""
        self._forgotten = True
        _break(self._target)
        if self._carrying is not None:
            self._carrying.cancel()

    def reset(self) -> None:
        """Break with both sides."""
        self._ended.set()
        _break(self._target)
        _break(self._client)
        if self._carrying is not None:
            self._carrying.cancel()


def _break(writer: asyncio.StreamWriter | None) -> None:
    if writer is not None and not writer.transport.is_closing():
        with contextlib.suppress(OSError):
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
        writer.transport.abort()


async def _swallow(reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(OSError):
        while await reader.read(CHUNK):
            pass

"""A network that can be cut: between a client and a PostgreSQL server, on loopback."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

__all__ = ["Proxy"]


class Proxy:
    """`with Proxy(port) as proxy: ...` carries what is sent to its own port on to `port`.

    Where the network is cut, the client sees its connection end; the server sees nothing, until
    the proxy itself ends.
    """

    def __init__(self, port: int) -> None:
        self._server = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._threads: list[threading.Thread] = []
        self._trigger: tuple[bytes, bytes, bool] | None = None
        self.cuts = 0

    def through(self, url: str) -> str:
        return url.replace(f":{self._server}/", f":{self.port}/")

    def cut(self) -> None:
        """Every connection that is open now; new ones are carried."""
        for client, _ in self._pairs:
            with suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
        self.cuts += 1

    def cut_at(self, statement: bytes, after: bytes, *, answered: bool) -> None:
        """Cut the connection that sends `statement` after `after`, once: with `answered` when the
        server has carried it out, without before it is sent on."""
        self._trigger = (after, statement, answered)

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for each in [end for pair in self._pairs for end in pair]:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for each in [end for pair in self._pairs for end in pair]:
            each.close()

    def _start(self, target: object, *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._server))
                self._pairs.append((client, server))
                self._start(self._requests, client, server)
                self._start(self._answers, client, server)

    def _requests(self, client: socket.socket, server: socket.socket) -> None:
        seen = False
        with suppress(OSError):
            while data := client.recv(1 << 16):
                if self._trigger:
                    after, statement, answered = self._trigger
                    seen = seen or after in data
                    if seen and statement in data:
                        self._trigger = None
                        self.cuts += 1
                        # Nothing more is carried to the client, not the answer to this either.
                        client.shutdown(socket.SHUT_RDWR)
                        if not answered:
                            return
                server.sendall(data)

    def _answers(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := server.recv(1 << 16):
                client.sendall(data)
        with suppress(OSError):  # the server's end is the client's
            client.shutdown(socket.SHUT_RDWR)

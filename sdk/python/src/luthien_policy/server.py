"""Serves a policy to the gateway, over a Unix socket or TCP."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import logging
import os
import signal
import socket
import stat
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .config import ConfigError
from .http import _MOST_HEAD, Connection, Request, Response, error
from .policy import Definition
from .protocol import Application, BadMessage

_log = logging.getLogger("luthien_policy")

MOST_BODY = 64 * 1024 * 1024
"""The largest question that is read, in bytes."""


class Server:
    """Answers the gateway. `serve` is all that most need."""

    def __init__(
        self,
        definition: Definition,
        *,
        secret: str | None = None,
        max_concurrency: int = 64,
        drain: float = 10.0,
    ) -> None:
        """Messages have to bring `secret` where there is one. At most `max_concurrency` reviews run at once, the others wait.
        At the end running ones get `drain` seconds."""
        if secret == "":
            raise ValueError("the secret is empty: give one, or none at all")
        self.application = Application(definition)
        self._secret = None if secret is None else f"Bearer {secret}".encode()
        self._places = asyncio.Semaphore(max_concurrency)
        self._drain = drain
        self._connections: dict[asyncio.Task[None], Connection] = {}
        self._server: asyncio.AbstractServer | None = None
        self._socket: Path | None = None

    async def listen_unix(self, path: str | os.PathLike[str]) -> str:
        """Listens on a Unix socket that only this user can reach. One that a dead server left is replaced. Gives the URL."""
        path = Path(path).absolute()
        _remove_stale(path)
        before = os.umask(0o177)
        try:
            self._server = await asyncio.start_unix_server(self._accept, path, limit=_MOST_HEAD)
        finally:
            os.umask(before)
        self._socket = path
        return f"unix:{path}"

    async def listen_tcp(self, host: str, port: int) -> str:
        """Listens on a TCP port; 0 takes a free one. Gives the URL."""
        self._server = await asyncio.start_server(self._accept, host, port, limit=_MOST_HEAD)
        name = self._server.sockets[0].getsockname()
        return f"http://[{name[0]}]:{name[1]}" if ":" in name[0] else f"http://{name[0]}:{name[1]}"

    async def stop(self) -> None:
        """Takes no more questions, lets running ones end for a while, and closes the policy."""
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections.values()):
            connection.end()
        if self._connections:
            _, late = await asyncio.wait(list(self._connections), timeout=self._drain)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        if self._socket is not None:
            with contextlib.suppress(FileNotFoundError):
                self._socket.unlink()
        await self.application.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connection = Connection(reader, writer, self._answer, MOST_BODY)
        self._connections[task] = connection
        try:
            await connection.serve()
        finally:
            del self._connections[task]

    async def _answer(self, request: Request) -> Response:
        if self._secret is not None:
            brought = request.headers.get("authorization", "").encode("latin-1")
            if not hmac.compare_digest(brought, self._secret):
                return error(401, "the secret is missing or wrong")
        try:
            return await self._route(request)
        except BadMessage as wrong:
            return error(400, str(wrong))
        except ConfigError as wrong:
            return error(400, f"the configuration is wrong: {wrong}")
        except Exception as failure:
            _log.exception("the policy failed")
            return error(500, f"{type(failure).__name__}: {failure}")

    async def _route(self, request: Request) -> Response:
        routes: dict[str, tuple[str, Callable[[], Any]]] = {
            "/v1/describe": ("GET", lambda: self.application.describe()),
            "/v1/check": ("POST", lambda: self.application.check(_message(request))),
            "/v1/review": ("POST", lambda: None),
            "/healthz": ("GET", lambda: {"status": "ok"}),
        }
        method, answer = routes.get(request.path, ("", lambda: None))
        if not method:
            return error(404, f"there is nothing at {request.path}")
        if request.method != method:
            return error(405, f"{request.path} is asked by {method}")
        if request.path != "/v1/review":
            return Response(200, answer())
        async with self._places:
            unreviewed = request.headers.get("x-luthien-unreviewed")
            return Response(200, await self.application.review(_message(request), unreviewed))


def _message(request: Request) -> dict[str, Any]:
    try:
        message = json.loads(request.body)
    except ValueError as wrong:
        raise BadMessage(f"the body is not JSON: {wrong}") from None
    if not isinstance(message, dict):
        raise BadMessage("the body is not a JSON object")
    return message


def _remove_stale(path: Path) -> None:
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise FileExistsError(f"{path} is there and is not a socket")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
            return
    raise FileExistsError(f"another server listens on {path}")


async def serve_async(
    definition: Definition,
    *,
    unix: str | os.PathLike[str] | None = None,
    host: str = "127.0.0.1",
    port: int | None = None,
    secret: str | None = None,
    max_concurrency: int = 64,
    drain: float = 10.0,
    until_stdin_ends: bool = False,
    stop: asyncio.Event | None = None,
) -> None:
    """Serves a policy on a Unix socket or, with `port`, on TCP, until `stop` is set or the process gets SIGTERM or SIGINT.
    On all but loopback addresses TCP needs a secret. With `until_stdin_ends` it is stopped by the end of the standard input,
    too, so that it never outlives the program that started it."""
    if (unix is None) == (port is None):
        raise ValueError("give either `unix`, the path of a socket, or `port`")
    if port is not None and secret is None and host not in ("127.0.0.1", "::1", "localhost"):
        raise ValueError(f"a server on {host} can be asked by others: give a `secret`")
    server = Server(definition, secret=secret, max_concurrency=max_concurrency, drain=drain)
    stop = stop or asyncio.Event()
    loop = asyncio.get_running_loop()
    signals = (signal.SIGTERM, signal.SIGINT)
    with contextlib.suppress(NotImplementedError, RuntimeError):  # Not on the main thread, or not on Unix.
        for number in signals:
            loop.add_signal_handler(number, stop.set)
    if until_stdin_ends:
        # A thread of its own: a file or a terminal cannot be waited for otherwise.
        threading.Thread(target=_wait_for_end, args=(loop, stop), daemon=True).start()
    try:
        url = await (server.listen_tcp(host, port) if port is not None else server.listen_unix(unix or ""))
        print(f"serving {server.application.kind.name} on {url}", file=sys.stdout, flush=True)
        await stop.wait()
    finally:
        await server.stop()
        with contextlib.suppress(NotImplementedError, RuntimeError):
            for number in signals:
                loop.remove_signal_handler(number)


def _wait_for_end(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    with contextlib.suppress(OSError):
        while os.read(0, 4096):
            pass
    with contextlib.suppress(RuntimeError):  # The loop has ended by itself.
        loop.call_soon_threadsafe(stop.set)


def serve(
    definition: Definition,
    *,
    unix: str | os.PathLike[str] | None = None,
    host: str = "127.0.0.1",
    port: int | None = None,
    secret: str | None = None,
    max_concurrency: int = 64,
    drain: float = 10.0,
    until_stdin_ends: bool = False,
) -> None:
    """Serves a policy until the process is told to stop. See `serve_async`."""
    asyncio.run(
        serve_async(
            definition,
            unix=unix,
            host=host,
            port=port,
            secret=secret,
            max_concurrency=max_concurrency,
            drain=drain,
            until_stdin_ends=until_stdin_ends,
        )
    )

"""As much of an HTTP/1.1 server as a policy needs: bodies with a length, connections that are kept, bounds on everything."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

_log = logging.getLogger("luthien_policy")

_MOST_HEAD = 64 * 1024
_HEAD_WITHIN = 30.0
_IDLE_WITHIN = 120.0
_BODY_WITHIN = 60.0


@dataclass(frozen=True)
class Request:
    """A request, whole. Names of headers are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Response:
    """An answer, whose body is JSON."""

    status: int
    body: Mapping[str, Any]


Handler = Callable[[Request], Awaitable[Response]]


class Refused(Exception):
    """A request that is answered by an error, after which the connection ends."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def error(status: int, message: str) -> Response:
    """An answer that says what went wrong."""
    return Response(status, {"error": message})


class Connection:
    """One connection, served until either side ends it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, handler: Handler, most: int) -> None:
        self._reader = reader
        self._writer = writer
        self._handler = handler
        self._most = most
        self._ahead = b""
        self._busy = False
        self._ending = False
        self._task: asyncio.Task[None] | None = None

    def end(self) -> None:
        """Ends it once the running request is answered."""
        self._ending = True
        if not self._busy and self._task is not None:
            self._task.cancel()

    async def serve(self) -> None:
        """Serves it. Never raises but for cancellation from outside."""
        self._task = asyncio.current_task()
        try:
            while not self._ending and await self._one():
                pass
        except (ConnectionError, asyncio.TimeoutError, asyncio.IncompleteReadError):
            pass
        except asyncio.CancelledError:
            if not self._ending:
                raise
        finally:
            self._writer.close()

    async def _one(self) -> bool:
        try:
            request = await self._read()
        except Refused as refused:
            await self._write(error(refused.status, str(refused)), False)
            return False
        if request is None:
            return False
        self._busy = True
        try:
            answer = await self._unless_gone(request)
            if answer is None:
                return False
            keep = request.headers.get("connection", "").lower() != "close" and not self._ending
            await self._write(answer, keep)
            return keep
        finally:
            self._busy = False

    async def _unless_gone(self, request: Request) -> Response | None:
        """The answer; None if the client goes before, for whom then nobody works on."""
        work = asyncio.ensure_future(self._handler(request))
        watch = asyncio.ensure_future(self._reader.read(1))
        try:
            await asyncio.wait({work, watch}, return_when=asyncio.FIRST_COMPLETED)
            if watch.done() and not watch.cancelled() and watch.exception() is None:
                # A byte is the beginning of the next request, none the end of the connection.
                self._ahead = watch.result()
                if not self._ahead and not work.done():
                    return None
            return await work
        finally:
            for task in (work, watch):
                if not task.done():
                    task.cancel()
            await asyncio.gather(work, watch, return_exceptions=True)

    async def _read(self) -> Request | None:
        if not self._ahead:
            self._ahead = await asyncio.wait_for(self._reader.read(1), _IDLE_WITHIN)
            if not self._ahead:
                return None
        try:
            rest = await asyncio.wait_for(self._reader.readuntil(b"\r\n\r\n"), _HEAD_WITHIN)
        except asyncio.LimitOverrunError:
            raise Refused(431, "the head of the request is too large") from None
        head, self._ahead = self._ahead + rest, b""
        method, path, headers = _head(head)
        length = _length(headers)
        if length > self._most:
            raise Refused(413, f"the body has more than {self._most} bytes")
        body = await asyncio.wait_for(self._reader.readexactly(length), _BODY_WITHIN) if length else b""
        return Request(method, path, headers, body)

    async def _write(self, answer: Response, keep: bool) -> None:
        body = json.dumps(answer.body).encode()
        reason = HTTPStatus(answer.status).phrase
        head = f"HTTP/1.1 {answer.status} {reason}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
        self._writer.write(head.encode() + (b"" if keep else b"connection: close\r\n") + b"\r\n" + body)
        await asyncio.wait_for(self._writer.drain(), _BODY_WITHIN)


def _head(head: bytes) -> tuple[str, str, dict[str, str]]:
    try:
        lines = head.decode("latin-1").split("\r\n")
        method, target, version = lines[0].split(" ")
        pairs = [line.split(":", 1) for line in lines[1:] if line]
        headers: dict[str, str] = {}
        for name, value in pairs:
            if name != name.strip() or not name or name.lower() in headers:
                raise ValueError
            headers[name.lower()] = value.strip()
    except ValueError:
        raise Refused(400, "the request cannot be read as HTTP") from None
    if version != "HTTP/1.1":
        raise Refused(505, "only HTTP/1.1 is spoken here")
    return method, target.split("?", 1)[0], headers


def _length(headers: Mapping[str, str]) -> int:
    if "transfer-encoding" in headers:
        raise Refused(411, "the body has to come with its length")
    length = headers.get("content-length", "0")
    if not (length.isascii() and length.isdigit()):
        raise Refused(400, "the body's length is not a number")
    return int(length)

"""The server, asked over real connections."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from luthien_policy import Answer, Block, FunctionPolicy, Pass, Review
from luthien_policy.server import Server, serve_async

POLICY = FunctionPolicy("p")
RUNNING: list[str] = []
GATE: dict[str, asyncio.Event] = {}


@POLICY.text
async def decide(text: str, review: Review) -> Answer:
    if text == "fails":
        raise KeyError("rule")
    if text == "token":
        return Block(json.dumps(review.unreviewed_headers()))
    if text == "waits":
        RUNNING.append(text)
        GATE["begun"].set()
        try:
            await GATE["open"].wait()
        except asyncio.CancelledError:
            GATE["cancelled"].set()
            raise
    return Pass()


def question(text: str, **more: Any) -> bytes:
    return json.dumps(
        {
            "protocol": 1, "transaction_id": "t", "dialect": "chat", "model": "m", "config": {}, "request": None,
            "hook": "text", "text": text, "earlier": [], "later": "unknown", **more,
        }  # fmt: skip
    ).encode()


def post(body: bytes, path: str = "/v1/review", headers: str = "") -> bytes:
    return f"POST {path} HTTP/1.1\r\nhost: p\r\ncontent-length: {len(body)}\r\n{headers}\r\n".encode() + body


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def to(cls, url: str) -> Client:
        if url.startswith("unix:"):
            return cls(*await asyncio.open_unix_connection(url[5:]))
        host, port = url.removeprefix("http://").rsplit(":", 1)
        return cls(*await asyncio.open_connection(host, int(port)))

    async def ask(self, request: bytes) -> tuple[int, Any]:
        self.writer.write(request)
        return await self.answer()

    async def answer(self) -> tuple[int, Any]:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        length = int(head.lower().split("content-length: ")[1].split("\r\n")[0])
        return int(head.split(" ")[1]), json.loads(await self.reader.readexactly(length))


def with_server(test: Callable[[Server, str], Awaitable[None]], **options: Any) -> None:
    async def run() -> None:
        RUNNING.clear()
        GATE.update(begun=asyncio.Event(), open=asyncio.Event(), cancelled=asyncio.Event())
        server = Server(POLICY, **options)
        url = await server.listen_tcp("127.0.0.1", 0)
        try:
            await asyncio.wait_for(test(server, url), 20)
        finally:
            await server.stop()

    asyncio.run(run())


def test_a_connection_is_kept_and_questions_are_answered() -> None:
    async def test(server: Server, url: str) -> None:
        client = await Client.to(url)
        assert (await client.ask(b"GET /v1/describe HTTP/1.1\r\n\r\n"))[1]["name"] == "p"
        assert await client.ask(post(question("hello"))) == (200, {"action": "pass"})
        assert await client.ask(post(b'{"protocol": 1, "config": {}}', "/v1/check")) == (200, {"problems": []})
        assert await client.ask(b"GET /healthz HTTP/1.1\r\n\r\n") == (200, {"status": "ok"})

    with_server(test)


def test_questions_may_come_behind_each_other() -> None:
    async def test(server: Server, url: str) -> None:
        client = await Client.to(url)
        client.writer.write(post(question("one")) + post(question("fails")))
        assert [(await client.answer())[0], (await client.answer())[0]] == [200, 500]

    with_server(test)


@pytest.mark.parametrize(
    ("request_", "status", "told"),
    [
        (post(question("fails")), 500, "KeyError: 'rule'"),
        (post(question("x", protocol=2)), 400, "version 2"),
        (post(question("x", hook="tool_call", tool_call=None)), 400, "no question"),
        (post(question("x", hook="turn", blocks=[])), 400, "no hook 'turn'"),
        (post(question("x", config={"y": 1})), 400, "y: unknown field"),
        (post(b"{"), 400, "not JSON"),
        (post(b"[]"), 400, "not a JSON object"),
        (post(b"", "/nowhere"), 404, "nothing at /nowhere"),
        (b"GET /v1/review HTTP/1.1\r\n\r\n", 405, "asked by POST"),
        (b"POST /v1/review HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n", 411, "length"),
        (b"POST /v1/review HTTP/1.1\r\ncontent-length: 99999999999\r\n\r\n", 413, "more than"),
        (b"POST /v1/review HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n", 400, "cannot be read"),
        (b"nonsense\r\n\r\n", 400, "cannot be read"),
        (b"GET /healthz HTTP/1.0\r\n\r\n", 505, "HTTP/1.1"),
    ],
)
def test_what_cannot_be_answered_is_told(request_: bytes, status: int, told: str) -> None:
    async def test(server: Server, url: str) -> None:
        got, body = await (await Client.to(url)).ask(request_)
        assert got == status and told in body["error"], body

    with_server(test)


def test_a_secret_is_asked_for() -> None:
    async def test(server: Server, url: str) -> None:
        client = await Client.to(url)
        assert (await client.ask(post(question("x"))))[0] == 401
        assert (await client.ask(post(question("x"), headers="authorization: Bearer wrong\r\n")))[0] == 401
        assert (await client.ask(post(question("x"), headers="authorization: Bearer s3cret\r\n")))[0] == 200

    with_server(test, secret="s3cret")


def test_the_token_for_unreviewed_questions_reaches_the_policy() -> None:
    async def test(server: Server, url: str) -> None:
        client = await Client.to(url)
        _, answer = await client.ask(post(question("token"), headers="x-luthien-unreviewed: abc\r\n"))
        assert json.loads(answer["message"]) == {"x-luthien-unreviewed": "abc"}
        _, answer = await client.ask(post(question("token")))
        assert json.loads(answer["message"]) == {}

    with_server(test)


def test_no_more_reviews_run_at_once_than_may() -> None:
    async def test(server: Server, url: str) -> None:
        clients = [await Client.to(url) for _ in range(2)]
        for client in clients:
            client.writer.write(post(question("waits")))
        await GATE["begun"].wait()
        third = await Client.to(url)
        # Reviews are counted, other questions are not held up by them.
        assert (await third.ask(b"GET /healthz HTTP/1.1\r\n\r\n"))[0] == 200
        assert RUNNING == ["waits"]
        GATE["open"].set()
        assert [(await client.answer())[0] for client in clients] == [200, 200]
        assert RUNNING == ["waits", "waits"]

    with_server(test, max_concurrency=1)


def test_nobody_works_for_a_gateway_that_has_gone() -> None:
    async def test(server: Server, url: str) -> None:
        client = await Client.to(url)
        client.writer.write(post(question("waits")))
        await GATE["begun"].wait()
        client.writer.close()
        await GATE["cancelled"].wait()

    with_server(test)


def test_running_reviews_end_before_the_server_does() -> None:
    async def test(server: Server, url: str) -> None:
        client, idle = await Client.to(url), await Client.to(url)
        await idle.ask(b"GET /healthz HTTP/1.1\r\n\r\n")
        client.writer.write(post(question("waits")))
        await GATE["begun"].wait()
        stopping = asyncio.ensure_future(server.stop())
        assert await idle.reader.read() == b""
        GATE["open"].set()
        assert await client.answer() == (200, {"action": "pass"})
        await stopping
        with pytest.raises(ConnectionRefusedError):
            await Client.to(url)

    with_server(test)


def test_a_socket_is_private_and_replaced_only_where_nobody_listens(tmp_path: Path) -> None:
    path = tmp_path / "p.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))

    async def run() -> None:
        server = Server(POLICY)
        url = await server.listen_unix(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert (await (await Client.to(url)).ask(post(question("x"))))[0] == 200
        with pytest.raises(FileExistsError, match="another server"):
            await Server(POLICY).listen_unix(path)
        await server.stop()
        assert not path.exists()
        path.write_text("mine")
        with pytest.raises(FileExistsError, match="is not a socket"):
            await Server(POLICY).listen_unix(path)

    asyncio.run(run())


def test_others_are_not_served_without_a_secret() -> None:
    with pytest.raises(ValueError, match="give a `secret`"):
        asyncio.run(serve_async(POLICY, host="0.0.0.0", port=0))


def command(*arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1] / "src")}
    return subprocess.Popen(
        [sys.executable, "-m", "luthien_policy", *arguments],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip


def test_the_command_serves_a_file_until_it_is_told_to_stop(tmp_path: Path) -> None:
    examples = Path(__file__).parents[1] / "examples"
    path = tmp_path / "rules.sock"
    process = command(str(examples / "rules.py"), "--name", "Rules", "--socket", str(path))
    assert process.stdout is not None
    assert process.stdout.readline() == f"serving Rules on unix:{path}\n"
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        client.sendall(b"GET /v1/describe HTTP/1.1\r\n\r\n")
        assert b"200 OK" in client.recv(4096)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors, path.exists()) == (0, "", False)


def test_the_command_ends_with_who_started_it(tmp_path: Path) -> None:
    examples = Path(__file__).parents[1] / "examples"
    process = command(str(examples / "rules.py"), "--name", "Rules", "--port", "0", "--until-stdin-ends")
    assert process.stdout is not None
    assert process.stdout.readline().startswith("serving Rules on http://127.0.0.1:")
    _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, "")


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("x = 1", "it has 0 policies (none); say which by --name"),
        ("from luthien_policy import FunctionPolicy\na = FunctionPolicy('a')\n", "watches nothing"),
    ],
)
def test_the_command_says_what_it_cannot_serve(tmp_path: Path, source: str, told: str) -> None:
    file = tmp_path / "mine.py"
    file.write_text(source)
    _, errors = command(str(file), "--port", "0").communicate(timeout=20)
    assert told in errors

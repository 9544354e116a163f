"""The examples do what they say."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from luthien_policy import ConfigError, ToolCall
from luthien_policy.testing import Tester

sys.path.insert(0, str(Path(__file__).parents[1]))

from examples.judge import Judge, verdict  # noqa: E402
from examples.rewrite import policy as rewrite  # noqa: E402
from examples.rules import Rules  # noqa: E402


def test_rules_block_what_matches() -> None:
    with Tester(Rules) as policy:
        assert policy.tool_call("Bash", {"command": "ls"}) == {"action": "pass"}
        blocked = policy.tool_call("Bash", {"command": ["sh", "-c", "rm  -rf /"]})
    assert blocked["message"] == "[Blocked by a rule.]"
    only = {"rules": [{"pattern": "x", "tools": ["Write"], "action": "ask"}]}
    with Tester(Rules, only) as policy:
        assert policy.tool_call("Bash", {"command": "x"})["action"] == "pass"
        assert policy.tool_call("Write", {"text": "x"})["action"] == "ask"


def test_a_wrong_rule_is_refused_by_its_path() -> None:
    with pytest.raises(ConfigError) as error:
        Tester(Rules, {"rules": [{"pattern": "a"}, {"pattern": "("}]})
    assert error.value.problems[0].path == ("rules", "1", "pattern")


def test_texts_and_calls_are_rewritten() -> None:
    with Tester(rewrite) as policy:
        text = policy.text("Write to ann@example.com, please.")
        call = policy.tool_call(ToolCall("Bash", {"command": "git push -f origin main", "timeout": 5}, id="t1"))
        assert policy.text("Nothing here.") == {"action": "pass"}
        assert policy.tool_call("Bash", {"command": "rm -f x"}) == {"action": "pass"}
    assert text["blocks"] == [{"type": "text", "text": "Write to [mail address], please."}]
    arguments = {"command": "git push --force-with-lease origin main", "timeout": 5}
    assert call["blocks"] == [{"type": "tool_call", "id": "t1", "name": "Bash", "arguments": arguments}]


class Gateway(BaseHTTPRequestHandler):
    said: str = ""
    asked: list[Any] = []

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        Gateway.asked.append((self.path, self.headers, body))
        answer = json.dumps({"content": [{"type": "text", "text": Gateway.said}]}).encode()
        self.send_response(200 if Gateway.said else 503)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Gateway)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("JUDGE_KEY", "k")
    Gateway.asked = []
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_judge_is_asked_through_the_gateway(gateway: str) -> None:
    with Tester(Judge, {"gateway": gateway}) as policy:
        Gateway.said = '{"probability": 0.9, "why": "deletes"}'
        assert policy.tool_call("Bash", {"command": "rm x"})["score"] == 0.9
        Gateway.said = '{"probability": 0.1}'
        assert policy.tool_call("Bash", {"command": "ls"})["action"] == "pass"
        Gateway.said = ""
        with pytest.raises(RuntimeError, match="status 503"):
            policy.tool_call("Bash", {"command": "ls"})
    path, headers, body = Gateway.asked[0]
    assert (path, headers["x-api-key"]) == ("/v1/messages", "k")
    assert json.loads(body["messages"][0]["content"]) == {"tool": "Bash", "arguments": {"command": "rm x"}}


@pytest.mark.parametrize("said", ["", "yes", '{"probability": 2}', '{"probability": true}', 'It says {"probability": 0}', "{}"])
def test_what_is_no_verdict_is_none(said: str) -> None:
    with pytest.raises((ValueError, KeyError)):
        verdict(said)

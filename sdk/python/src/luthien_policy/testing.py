"""Tests of a policy without a gateway: what it is asked and answers goes through the same messages."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine, Mapping, Sequence
from types import TracebackType
from typing import Any, TypeVar, Union

from .policy import Definition
from .protocol import VERSION, Application
from .turn import Blocks, Opaque, Text, Thinking, ToolCall

T = TypeVar("T")


class Tester:
    """Asks a policy as the gateway does, and gives its answers as the gateway gets them::

        with Tester(NoSecrets, {"patterns": ["AKIA"]}) as policy:
            assert policy.tool_call("Bash", {"command": "ls"}) == {"action": "pass"}
    """

    __test__ = False  # pytest would take it for tests by its name.

    def __init__(
        self,
        definition: Definition,
        config: Mapping[str, Any] | None = None,
        *,
        dialect: str = "messages",
        model: str = "test-model",
        session_id: str | None = None,
        user_id: str | None = None,
        request: Mapping[str, Any] | None = None,
    ) -> None:
        """Raises ConfigError where the configuration is wrong. `request` is the client's, for policies that want it."""
        self.application = Application(definition)
        self._config = json.loads(json.dumps(config or {}))
        self._context = {
            "protocol": VERSION,
            "transaction_id": "test",
            "session_id": session_id,
            "user_id": user_id,
            "caller": None,
            "dialect": dialect,
            "model": model,
        }
        self._request = request if self.application.kind.send_request else None
        self._loop = asyncio.new_event_loop()
        self.application._policy(self._config)

    def request(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Asks about a request."""
        return self._ask({"hook": "request", "request": request})

    def text(self, text: str, earlier: Blocks = ()) -> dict[str, Any]:
        """Asks about a text."""
        return self._ask({"hook": "text", "text": text, "earlier": blocks(earlier)})

    def tool_call(
        self, name: Union[str, ToolCall], arguments: Any = None, earlier: Blocks = ()
    ) -> dict[str, Any]:
        """Asks about a call: a ToolCall, or a name and arguments."""
        call = name if isinstance(name, ToolCall) else ToolCall(name, arguments, id="toolu_test")
        return self._ask({"hook": "tool_call", "tool_call": _block(call, False), "earlier": blocks(earlier)})

    def turn(self, *said: Union[Text, Thinking, ToolCall, Opaque]) -> dict[str, Any]:
        """Asks about a whole response."""
        return self._ask({"hook": "turn", "blocks": blocks(said)})

    def _ask(self, subject: Mapping[str, Any]) -> dict[str, Any]:
        message = {**self._context, "config": self._config, "request": self._request, **subject}
        answer = self._run(self.application.review(json.loads(json.dumps(message))))
        result: dict[str, Any] = json.loads(json.dumps(answer))
        return result

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._loop.run_until_complete(work)

    def close(self) -> None:
        """Ends the policy."""
        if not self._loop.is_closed():
            self._run(self.application.close())
            self._loop.close()

    def __enter__(self) -> Tester:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def blocks(said: Sequence[Union[Text, Thinking, ToolCall, Opaque]]) -> list[dict[str, Any]]:
    """Blocks as the gateway writes them."""
    return [_block(block, True) for block in said]


def _block(block: Union[Text, Thinking, ToolCall, Opaque], named: bool) -> dict[str, Any]:
    if isinstance(block, Text):
        return {"type": "text", "text": block.text}
    if isinstance(block, Thinking):
        return {"type": "thinking", "text": block.text}
    if isinstance(block, Opaque):
        return {"type": "opaque", "kind": block.kind, "raw": block.raw}
    call = {"id": block.id, "name": block.name, "form": block.form, "arguments": block.arguments}
    if block.unreadable is not None:
        call["unreadable"] = {"why": block.unreadable.why, "raw": block.unreadable.raw}
    return {"type": "tool_call", **call} if named else call

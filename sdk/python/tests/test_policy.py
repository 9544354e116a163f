"""What policies are asked, and what becomes of their answers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from luthien_policy import (
    Answer,
    Ask,
    Block,
    Blocks,
    ConfigError,
    FunctionPolicy,
    Opaque,
    Pass,
    Policy,
    Refuse,
    Replace,
    ReplaceRequest,
    Review,
    Sending,
    Text,
    Thinking,
    ToolCall,
    Unreadable,
    Watches,
)
from luthien_policy.testing import Tester

SCHEMA = json.loads((Path(__file__).parents[3] / "docs/schemas/policy-protocol-v1.json").read_text())


def valid(message: Mapping[str, Any], kind: str) -> bool:
    jsonschema.Draft202012Validator({**SCHEMA, "$ref": f"#/$defs/{kind}"}).validate(message)
    return True


class Says(Policy):
    """Says what it is told to.

    More words.
    """

    watches = Watches(request=True, text="whole", tool_calls=True, unreadable_calls=True, turn=True)
    send_request = True
    said: Any = Pass()
    asked: list[tuple[Any, Review]] = []

    async def request(self, request: Mapping[str, Any], review: Review) -> Answer:
        return self._say(request, review)

    async def text(self, text: str, review: Review) -> Answer:
        return self._say(text, review)

    async def tool_call(self, call: ToolCall, review: Review) -> Answer:
        return self._say(call, review)

    async def turn(self, blocks: Blocks, review: Review) -> Answer:
        return self._say(blocks, review)

    def _say(self, about: Any, review: Review) -> Answer:
        Says.asked.append((about, review))
        answer: Answer = Says.said
        return answer


def says(answer: object) -> Tester:
    Says.said, Says.asked = answer, []
    return Tester(Says, request={"model": "m"})


def test_a_policy_describes_itself() -> None:
    with says(Pass()) as policy:
        description = policy.application.describe()
    assert valid(description, "Description")
    assert (description["name"], description["description"]) == ("Says", "Says what it is told to.")
    assert description["watches"]["text"] == "whole" and description["send_request"] is True


def test_hooks_get_what_they_are_about() -> None:
    said = (Text("a"), Thinking("b"), ToolCall("Bash", {"c": 1}, id="t"), Opaque("image", "{}"))
    broken = ToolCall("Bash", None, id="t", unreadable=Unreadable("not_json", "{"))
    with says(Pass()) as policy:
        policy.request({"model": "m"})
        policy.text("hello", earlier=said)
        policy.tool_call(broken)
        policy.turn(*said)
    (request, _), (text, review), (call, _), (turn, _) = Says.asked
    assert (request, text, call, turn) == ({"model": "m"}, "hello", broken, said)
    assert review.earlier == said and review.request == {"model": "m"} and review.model == "test-model"


@pytest.mark.parametrize(
    ("answer", "written"),
    [
        (Pass(), {"action": "pass"}),
        (Pass(score=0.2, reason="fine", notices=["n"]), {"action": "pass", "score": 0.2, "reason": "fine", "notices": ["n"]}),
        (Block(), {"action": "block"}),
        (Block("no", scope="turn"), {"action": "block", "message": "no", "scope": "turn"}),
        (Replace([]), {"action": "replace", "blocks": []}),
        (
            Replace([Text("a"), ToolCall("Bash", {"c": 1}, id="t"), ToolCall("patch", "free")]),
            {
                "action": "replace",
                "blocks": [
                    {"type": "text", "text": "a"},
                    {"type": "tool_call", "name": "Bash", "arguments": {"c": 1}, "id": "t"},
                    {"type": "tool_call", "name": "patch", "arguments": "free"},
                ],
            },
        ),
        (
            Ask("odd", denied="no", timeout=5),
            {"action": "ask", "question": {"why": "odd", "unanswered": "block", "denied": "no", "timeout": 5}},
        ),
    ],
)
def test_answers_are_written_as_the_protocol_says(answer: Answer, written: dict[str, Any]) -> None:
    with says(answer) as policy:
        got = policy.tool_call("Bash", {})
    assert got == written and valid(got, "Answer")


@pytest.mark.parametrize(
    ("answer", "written"),
    [
        (
            Pass(sending=Sending(upstream="local", credential="sk")),
            {"action": "pass", "sending": {"upstream": "local", "credential": "sk"}},
        ),
        (ReplaceRequest({"model": "x"}), {"action": "replace", "request": {"model": "x"}}),
        (Refuse("forbidden", "not you"), {"action": "refuse", "refusal": {"kind": "forbidden", "message": "not you"}}),
        (Block("no"), {"action": "block", "message": "no"}),
    ],
)
def test_answers_about_requests_too(answer: Answer, written: dict[str, Any]) -> None:
    with says(answer) as policy:
        got = policy.request({"model": "m"})
    assert got == written and valid(got, "Answer")


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (None, "returned NoneType, which is no answer; a hook has to return an answer on each way out"),
        ("pass", "returned str, which is no answer"),
        (Refuse("invalid", "x"), "Refuse goes with the hook `request` only"),
        (ReplaceRequest({}), "ReplaceRequest goes with the hook `request` only"),
        (Pass(sending=Sending("x")), "`sending` goes with the hook `request` only"),
        (Replace([Thinking("x")]), "only Text and ToolCall"),  # type: ignore[list-item]
        (Replace([ToolCall("x", None)]), "neither an object nor a text"),
        (Pass(score=2), "`score` must be from 0 to 1"),
        (Pass(notices="x"), "not one text"),
    ],
)
def test_what_is_no_answer_fails(answer: object, told: str) -> None:
    with says(answer) as policy, pytest.raises((TypeError, ValueError), match=told.replace("`", ".")):
        policy.text("hello")


@dataclass(frozen=True)
class Limit:
    most: int = 3


class Short(Policy):
    watches = Watches(text="whole")

    def __init__(self, config: Limit) -> None:
        self.most = config.most

    async def text(self, text: str, review: Review) -> Answer:
        assert isinstance(review.config, Limit)
        return Pass() if len(text) <= self.most else Block("too long")


def test_a_policy_has_its_configuration() -> None:
    with Tester(Short) as policy:
        assert policy.text("abcd")["action"] == "block"
    with Tester(Short, {"most": 4}) as policy:
        assert policy.text("abcd")["action"] == "pass"
    with pytest.raises(ConfigError, match="most: must be a whole number"):
        Tester(Short, {"most": "4"})
    with pytest.raises(ConfigError, match="x: unknown field; the policy takes none"):
        Tester(Says, {"x": 1})


def test_wrong_configurations_are_told_when_they_are_checked() -> None:
    with Tester(Short) as policy:
        checked = policy.application.check({"protocol": 1, "config": {"most": [], "x": 1}})
        assert valid(checked, "Checked")
        assert {tuple(problem["path"]) for problem in checked["problems"]} == {("most",), ("x",)}
        assert policy.application.check({"protocol": 1, "config": {"most": 9}}) == {"problems": []}


def test_functions_are_a_policy_of_what_they_hook() -> None:
    policy = FunctionPolicy("f", on_error="pass", config=Limit)

    @policy.tool_call
    async def check(call: ToolCall, review: Review) -> Answer:
        return Block(str(review.config.most)) if call.argument("bad") else Pass()

    with Tester(policy, {"most": 7}) as tester:
        assert tester.tool_call("x", {"bad": True}) == {"action": "block", "message": "7"}
        description = tester.application.describe()
    assert valid(description, "Description") and description["on_error"] == "pass"
    assert description["watches"] == {
        "request": False, "text": "none", "tool_calls": True, "unreadable_calls": False, "turn": False,
    }  # fmt: skip
    with pytest.raises(ValueError, match="has a function for tool_call already"):
        policy.tool_call(check)


class WatchesNothing(Policy):
    watches = Watches()


class Hookless(Policy):
    watches = Watches(turn=True)


class SaysNothing(Policy):
    pass


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        (WatchesNothing, "watches nothing"),
        (Hookless, "watches turn and has no method `turn`"),
        (SaysNothing, "does not say what it watches"),
        (FunctionPolicy("empty"), "watches nothing"),
    ],
)
def test_what_is_no_policy_is_not_served(policy: Any, told: str) -> None:
    with pytest.raises(TypeError, match=told):
        Tester(policy)

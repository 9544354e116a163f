"""What a policy answers, and how it is written for the gateway."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Union

from .turn import Text, ToolCall


@dataclass(frozen=True)
class Sending:
    """Where a request is sent and with what."""

    upstream: str | None = None
    """A configured upstream, by its name."""
    credential: str | None = field(default=None, repr=False)
    """In place of the caller's."""


@dataclass(frozen=True)
class _Common:
    notices: Sequence[str] = field(default=(), kw_only=True)
    """Texts to show the user before any tool call."""
    score: float | None = field(default=None, kw_only=True)
    """How suspicious, 0 to 1."""
    reason: str | None = field(default=None, kw_only=True)
    """Why, for the record; never sent to the model."""


@dataclass(frozen=True)
class Pass(_Common):
    """It goes on unchanged."""

    sending: Sending | None = field(default=None, kw_only=True)
    """For requests."""


@dataclass(frozen=True)
class Replace(_Common):
    """These texts and calls stand in its place; none takes it out."""

    blocks: Sequence[Union[Text, ToolCall]]


@dataclass(frozen=True)
class ReplaceRequest(_Common):
    """This request is sent in place of the client's."""

    request: Mapping[str, Any]
    sending: Sending | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class Block(_Common):
    """It is withheld, and the client sees `message` in its place; a built-in text where there is none."""

    message: str | None = None
    scope: Literal["call", "turn"] | None = field(default=None, kw_only=True)
    """For tool calls: whether all calls of the turn are withheld that have not gone out."""


@dataclass(frozen=True)
class Ask(_Common):
    """A person decides; until then it is held."""

    why: str
    """For the person."""
    denied: str | None = field(default=None, kw_only=True)
    """What the client sees in its place if the answer is no."""
    unanswered: Literal["block", "pass"] = field(default="block", kw_only=True)
    """What happens if nobody answers."""
    timeout: float | None = field(default=None, kw_only=True)
    """Seconds to wait, at most the gateway's own limit."""
    sending: Sending | None = field(default=None, kw_only=True)
    """For requests."""


@dataclass(frozen=True)
class Refuse(_Common):
    """A request is not sent, and the client gets an error."""

    kind: Literal["unauthenticated", "forbidden", "invalid"]
    message: str


Answer = Union[Pass, Replace, ReplaceRequest, Block, Ask, Refuse]
"""What a hook returns."""


def encode(answer: object, hook: str) -> dict[str, Any]:
    """The answer as the gateway reads it. Fails where it is none, or does not go with the hook."""
    if not isinstance(answer, (Pass, Replace, ReplaceRequest, Block, Ask, Refuse)):
        hint = "; a hook has to return an answer on each way out" if answer is None else ""
        raise TypeError(f"the hook `{hook}` returned {type(answer).__name__}, which is no answer{hint}")
    request = hook == "request"
    if isinstance(answer, Replace) and request:
        raise TypeError("the hook `request` replaces by ReplaceRequest")
    if isinstance(answer, (ReplaceRequest, Refuse)) and not request:
        raise TypeError(f"{type(answer).__name__} goes with the hook `request` only, not with `{hook}`")
    out = _action(answer)
    sending = getattr(answer, "sending", None)
    if sending is not None:
        if not request:
            raise TypeError(f"`sending` goes with the hook `request` only, not with `{hook}`")
        out["sending"] = _given(upstream=sending.upstream, credential=sending.credential)
    if isinstance(answer.notices, str):
        raise TypeError("`notices` is a list of texts, not one text")
    if answer.score is not None and not 0 <= answer.score <= 1:
        raise ValueError(f"`score` must be from 0 to 1, is {answer.score}")
    out |= _given(notices=list(answer.notices) or None, score=answer.score, reason=answer.reason)
    return out


def _action(answer: Answer) -> dict[str, Any]:
    if isinstance(answer, Pass):
        return {"action": "pass"}
    if isinstance(answer, Replace):
        return {"action": "replace", "blocks": [_block(block) for block in answer.blocks]}
    if isinstance(answer, ReplaceRequest):
        return {"action": "replace", "request": dict(answer.request)}
    if isinstance(answer, Block):
        return {"action": "block"} | _given(message=answer.message, scope=answer.scope)
    if isinstance(answer, Ask):
        question = {"why": answer.why, "unanswered": answer.unanswered}
        return {"action": "ask", "question": question | _given(denied=answer.denied, timeout=answer.timeout)}
    return {"action": "refuse", "refusal": {"kind": answer.kind, "message": answer.message}}


def _block(block: object) -> dict[str, Any]:
    if isinstance(block, Text):
        return {"type": "text", "text": block.text}
    if isinstance(block, ToolCall):
        if not isinstance(block.arguments, (Mapping, str)):
            raise TypeError(f"the arguments of the call of {block.name!r} are neither an object nor a text")
        call = {"type": "tool_call", "name": block.name, "arguments": block.arguments}
        return call | _given(id=block.id or None)
    raise TypeError(f"only Text and ToolCall can stand in a place, not {type(block).__name__}")


def _given(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}

"""The protocol between the gateway and a policy server, version 1: messages in, messages out. Knows no HTTP."""

from __future__ import annotations

import json
import logging
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from . import config as configs
from .answers import encode
from .config import ConfigError
from .policy import Configured, Definition, Kind
from .turn import Opaque, Review, Text, Thinking, ToolCall, Unreadable

VERSION = 1
_log = logging.getLogger("luthien_policy")
_MOST_CONFIGURATIONS = 64


class BadMessage(Exception):
    """A message is none of the protocol's."""


class Application:
    """Answers the gateway's messages with a policy."""

    def __init__(self, definition: Definition) -> None:
        self.kind = Kind(definition)
        self._configured: OrderedDict[str, Configured] = OrderedDict()

    def describe(self) -> dict[str, Any]:
        """The answer to `GET /v1/describe`."""
        kind = self.kind
        watches = kind.watches
        nothing = {"type": "object", "properties": {}, "additionalProperties": False}
        return {
            "protocol": VERSION,
            "name": kind.name,
            "description": kind.description,
            "watches": {
                "request": watches.request,
                "text": watches.text,
                "tool_calls": watches.tool_calls,
                "unreadable_calls": watches.unreadable_calls,
                "turn": watches.turn,
            },
            "on_error": kind.on_error,
            "send_request": kind.send_request,
            "checks_config": True,
            "config_schema": configs.schema(kind.config_type) if kind.takes_config else nothing,
        }

    def check(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to `POST /v1/check`."""
        _version(message)
        try:
            self._policy(_object(message, "config"))
        except ConfigError as error:
            return {"problems": [{"path": list(p.path), "message": p.message} for p in error.problems]}
        return {"problems": []}

    async def review(self, message: Mapping[str, Any], unreviewed: str | None = None) -> dict[str, Any]:
        """The answer to `POST /v1/review`. Raises what the policy raises, and BadMessage."""
        _version(message)
        policy = self._policy(_object(message, "config"))
        hook = message.get("hook")
        try:
            review = Review(
                transaction_id=message["transaction_id"],
                dialect=message["dialect"],
                model=message["model"],
                config=policy.config,
                session_id=message.get("session_id"),
                user_id=message.get("user_id"),
                caller=message.get("caller"),
                request=message.get("request"),
                earlier=tuple(_block(block) for block in message.get("earlier", ())),
                _unreviewed=unreviewed,
            )
            subject = _subject(hook, message)
        except (KeyError, TypeError, AttributeError) as error:
            raise BadMessage(f"the message is no question: {error!r}") from error
        function = policy.hooks.get(str(hook))
        if function is None:
            raise BadMessage(f"this policy has no hook {hook!r}")
        return encode(await function(subject, review), str(hook))

    async def close(self) -> None:
        """Tells the policies that nothing is asked any more."""
        for policy in self._configured.values():
            try:
                await policy.close()
            except Exception:
                _log.exception("a policy failed to close")
        self._configured.clear()

    def _policy(self, value: Mapping[str, Any]) -> Configured:
        key = json.dumps(value, sort_keys=True)
        found = self._configured.get(key)
        if found is None:
            found = self._configured[key] = self.kind.configured(value)
            # The oldest are forgotten, not closed: they may still be at work.
            while len(self._configured) > _MOST_CONFIGURATIONS:
                self._configured.popitem(last=False)
        self._configured.move_to_end(key)
        return found


def _version(message: Mapping[str, Any]) -> None:
    if message.get("protocol") != VERSION:
        raise BadMessage(f"the message is of version {message.get('protocol')!r} of the protocol; this SDK speaks {VERSION}")


def _object(message: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = message.get(name, {})
    if not isinstance(value, dict):
        raise BadMessage(f"`{name}` is not an object")
    return value


def _subject(hook: object, message: Mapping[str, Any]) -> Any:
    if hook == "request":
        return message["request"]
    if hook == "text":
        return message["text"]
    if hook == "tool_call":
        return _tool_call(message["tool_call"])
    if hook == "turn":
        return tuple(_block(block) for block in message["blocks"])
    raise BadMessage(f"there is no hook {hook!r}")


def _tool_call(call: Mapping[str, Any]) -> ToolCall:
    unreadable = call.get("unreadable")
    return ToolCall(
        name=call["name"],
        arguments=call["arguments"],
        id=call["id"],
        form=call["form"],
        unreadable=None if unreadable is None else Unreadable(unreadable["why"], unreadable["raw"]),
    )


def _block(block: Mapping[str, Any]) -> Text | Thinking | ToolCall | Opaque:
    kind = block["type"]
    if kind == "text":
        return Text(block["text"])
    if kind == "thinking":
        return Thinking(block["text"])
    if kind == "tool_call":
        return _tool_call(block)
    if kind == "opaque":
        return Opaque(block["kind"], block["raw"])
    # A kind of a later gateway.
    return Opaque(str(kind), json.dumps(block))

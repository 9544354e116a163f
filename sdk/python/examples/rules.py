"""Blocks tool calls whose arguments match a pattern. Asks no model.

    python -m luthien_policy examples/rules.py --socket /run/luthien/rules.sock
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Literal

from luthien_policy import Answer, Ask, Block, ConfigError, Pass, Policy, Review, ToolCall, Watches


@dataclass(frozen=True)
class Rule:
    pattern: str
    """A regular expression, looked for in the call's arguments."""
    message: str = "[Blocked by a rule.]"
    tools: list[str] | None = None
    """The tools it is for; all where there are none."""
    action: Literal["block", "ask"] = "block"

    def __post_init__(self) -> None:
        try:
            re.compile(self.pattern)
        except re.error as error:
            raise ConfigError(f"not a regular expression: {error}", "pattern") from None


@dataclass(frozen=True)
class Config:
    rules: list[Rule] = field(default_factory=lambda: [Rule(r"\brm\s+-rf\s+/")])


class Rules(Policy):
    """Blocks tool calls by patterns."""

    watches = Watches(tool_calls=True)

    def __init__(self, config: Config) -> None:
        self.rules = [(re.compile(rule.pattern), rule) for rule in config.rules]

    async def tool_call(self, call: ToolCall, review: Review) -> Answer:
        arguments = call.arguments if isinstance(call.arguments, str) else "\n".join(texts(call.arguments))
        for pattern, rule in self.rules:
            if rule.tools is not None and call.name not in rule.tools:
                continue
            if pattern.search(arguments):
                reason = f"{call.name}: {rule.pattern}"
                if rule.action == "ask":
                    return Ask(f"A rule wants a person to decide: {json.dumps(arguments[:500])}", reason=reason)
                return Block(rule.message, reason=reason, score=1.0)
        return Pass()


def texts(value: object) -> list[str]:
    """All texts in the arguments, keys included."""
    if isinstance(value, dict):
        return [text for key, item in value.items() for text in [str(key), *texts(item)]]
    if isinstance(value, list):
        return [text for item in value for text in texts(item)]
    return [str(value)]

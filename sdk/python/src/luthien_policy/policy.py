"""What a policy is: a class with hooks, or functions."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeVar

from . import config as configs
from .answers import Answer
from .config import ConfigError, Problem
from .turn import Blocks, Review, ToolCall

OnError = Literal["block", "pass"]


@dataclass(frozen=True)
class Watches:
    """What a policy has to see, which is also all that is held back for it."""

    request: bool = False
    """The request, before it is sent."""
    text: Literal["none", "whole"] = "none"
    """Each text of the response, whole."""
    tool_calls: bool = False
    """Each tool call of the response."""
    unreadable_calls: bool = False
    """Tool calls whose arguments cannot be read, too. Without it `on_error` decides those."""
    turn: bool = False
    """The whole response at once."""


class Policy:
    """One policy, configured. Hooks may run at the same time, for many requests.

    `__init__` takes nothing, or one argument `config` whose annotation is a dataclass: the gateway's operator fills it, and
    what does not fit is refused by its path when the policy is loaded. There is one object for each configuration in use.
    """

    watches: ClassVar[Watches]
    """What it has to see. The hooks for that have to be there."""
    name: ClassVar[str] = ""
    """Its name; the class's where there is none."""
    on_error: ClassVar[OnError] = "block"
    """What happens when there is no answer, unless the gateway's configuration says something else."""
    send_request: ClassVar[bool] = False
    """Reviews of responses bring the client's request, which can be large."""

    async def request(self, request: Mapping[str, Any], review: Review) -> Answer:
        """About the request, in the client's dialect, before it is sent."""
        raise NotImplementedError("it watches requests and has no hook `request`")

    async def text(self, text: str, review: Review) -> Answer:
        """About a text of the response."""
        raise NotImplementedError("it watches texts and has no hook `text`")

    async def tool_call(self, call: ToolCall, review: Review) -> Answer:
        """About a tool call of the response."""
        raise NotImplementedError("it watches tool calls and has no hook `tool_call`")

    async def turn(self, blocks: Blocks, review: Review) -> Answer:
        """About the whole response."""
        raise NotImplementedError("it watches turns and has no hook `turn`")

    async def close(self) -> None:
        """The server ends; nothing is asked any more."""


RequestHook = Callable[[Mapping[str, Any], Review], Awaitable[Answer]]
TextHook = Callable[[str, Review], Awaitable[Answer]]
ToolCallHook = Callable[[ToolCall, Review], Awaitable[Answer]]
TurnHook = Callable[[Blocks, Review], Awaitable[Answer]]
_H = TypeVar("_H", bound=Callable[..., Awaitable[Answer]])


class FunctionPolicy:
    """A policy of functions. It watches what there are functions for::

        policy = FunctionPolicy("no-sudo")

        @policy.tool_call
        async def no_sudo(call: ToolCall, review: Review) -> Answer:
            ...
    """

    def __init__(
        self,
        name: str,
        *,
        description: str = "",
        on_error: OnError = "block",
        send_request: bool = False,
        unreadable_calls: bool = False,
        config: type | None = None,
    ) -> None:
        """`config` is a dataclass; `review.config` then is one of it."""
        self.name = name
        self.description = description
        self.on_error: OnError = on_error
        self.send_request = send_request
        self.config = config
        self._unreadable_calls = unreadable_calls
        self.hooks: dict[str, Callable[..., Awaitable[Answer]]] = {}

    def request(self, function: RequestHook) -> RequestHook:
        """Asked about requests."""
        return self._hook("request", function)

    def text(self, function: TextHook) -> TextHook:
        """Asked about texts."""
        return self._hook("text", function)

    def tool_call(self, function: ToolCallHook) -> ToolCallHook:
        """Asked about tool calls."""
        return self._hook("tool_call", function)

    def turn(self, function: TurnHook) -> TurnHook:
        """Asked about whole responses."""
        return self._hook("turn", function)

    def _hook(self, name: str, function: _H) -> _H:
        if name in self.hooks:
            raise ValueError(f"the policy {self.name!r} has a function for {name} already")
        self.hooks[name] = function
        return function

    @property
    def watches(self) -> Watches:
        """What there are functions for."""
        return Watches(
            request="request" in self.hooks,
            text="whole" if "text" in self.hooks else "none",
            tool_calls="tool_call" in self.hooks,
            unreadable_calls=self._unreadable_calls,
            turn="turn" in self.hooks,
        )


Definition = typing.Union[type[Policy], FunctionPolicy]
"""What can be served: a class or a set of functions."""


@dataclass(frozen=True)
class Configured:
    """A policy with a configuration, ready to be asked."""

    config: Any
    hooks: Mapping[str, Callable[..., Awaitable[Answer]]]
    close: Callable[[], Awaitable[None]]


class Kind:
    """A definition, checked: what it says of itself, and how it becomes a policy."""

    def __init__(self, definition: Definition) -> None:
        self.definition = definition
        self.watches = _watches(definition)
        self.on_error: OnError = definition.on_error
        self.send_request = definition.send_request
        if isinstance(definition, FunctionPolicy):
            self.name, self.description = definition.name, definition.description
            self.config_type: Any = definition.config
            self.takes_config = definition.config is not None
        else:
            self.name = definition.name or definition.__name__
            self.description = inspect.cleandoc(definition.__doc__ or "").split("\n\n")[0].replace("\n", " ")
            self.config_type = _config_of(definition)
            self.takes_config = self.config_type is not None

    def configured(self, value: Mapping[str, Any]) -> Configured:
        """The policy with this configuration. Raises ConfigError."""
        if not self.takes_config:
            if value:
                raise ConfigError.of([Problem((name,), "unknown field; the policy takes none") for name in value])
            config: Any = {}
        else:
            config = configs.read(self.config_type, dict(value))
        if isinstance(self.definition, FunctionPolicy):
            return Configured(config, self.definition.hooks, _nothing)
        policy = self.definition(config) if self.takes_config else self.definition()  # type: ignore[call-arg]
        hooks = {hook: getattr(policy, hook) for hook in ("request", "text", "tool_call", "turn")}
        return Configured(config, hooks, policy.close)


async def _nothing() -> None:
    pass


_HOOKS = {"request": "request", "text": "text", "tool_calls": "tool_call", "turn": "turn"}


def _watches(definition: Definition) -> Watches:
    watches = getattr(definition, "watches", None)
    if not isinstance(watches, Watches):
        raise TypeError(f"{definition.__name__} does not say what it watches: watches = Watches(…)")  # type: ignore[union-attr]
    if watches == Watches(unreadable_calls=watches.unreadable_calls):
        raise TypeError(f"{getattr(definition, 'name', '') or definition!r} watches nothing, so it would never be asked")
    if watches.text not in ("none", "whole"):
        raise TypeError(f"watches.text must be 'none' or 'whole', is {watches.text!r}")
    if isinstance(definition, type):
        for watch, hook in _HOOKS.items():
            wanted = getattr(watches, watch) not in (False, "none")
            if wanted and getattr(definition, hook) is getattr(Policy, hook):
                raise TypeError(f"{definition.__name__} watches {watch} and has no method `{hook}`")
    return watches


def _config_of(definition: type[Policy]) -> Any:
    parameters = [p for p in inspect.signature(definition.__init__).parameters.values() if p.name != "self"]
    parameters = [p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    if not parameters:
        return None
    if len(parameters) > 1 or parameters[0].name != "config":
        raise TypeError(f"{definition.__name__}.__init__ takes nothing or one argument `config`")
    hints = typing.get_type_hints(definition.__init__, localns=dict(vars(definition)))
    if "config" not in hints:
        raise TypeError(f"`config` of {definition.__name__}.__init__ needs the annotation of its dataclass")
    return hints["config"]

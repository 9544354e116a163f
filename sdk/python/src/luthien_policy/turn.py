"""What a policy is shown: the blocks of a response, and what is known about the request that it answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Union

Dialect = Literal["messages", "chat", "responses"]
"""The protocol that the client speaks."""


@dataclass(frozen=True)
class Text:
    """Text for the user."""

    text: str


@dataclass(frozen=True)
class Thinking:
    """Reasoning that the vendor shows. It cannot be changed."""

    text: str


@dataclass(frozen=True)
class Unreadable:
    """Arguments that mean nothing certain."""

    why: str
    """`not_json`, `cut_off`, `duplicate_keys` or `contradiction`."""
    raw: str
    """What the model wrote."""


@dataclass(frozen=True)
class ToolCall:
    """A tool call."""

    name: str
    arguments: Any
    """An object; a text for tools that take free text; None where `unreadable` says why."""
    id: str = ""
    """The id on the wire. A call without one that is put in a place gets a fresh one."""
    form: str = "client"
    """Who runs it: the `client`, the vendor's `server` (which has run it already), or `unknown`."""
    unreadable: Unreadable | None = None

    def argument(self, name: str) -> Any:
        """An argument by its name; None where there is none."""
        return self.arguments.get(name) if isinstance(self.arguments, Mapping) else None


@dataclass(frozen=True)
class Opaque:
    """A block that is none of the others."""

    kind: str
    """Its type on the wire."""
    raw: str
    """Its JSON as it came."""


Blocks = Sequence[Union[Text, Thinking, ToolCall, Opaque]]
"""Blocks of a response, in order."""


@dataclass(frozen=True)
class Review:
    """What is known about the request whose response is reviewed."""

    transaction_id: str
    """The same for all reviews of one request and its response."""
    dialect: str
    """`messages`, `chat` or `responses`."""
    model: str
    """The model that the client asked for."""
    config: Any
    """The policy's configuration: its type, or the plain object where it has none."""
    session_id: str | None = None
    user_id: str | None = None
    caller: str | None = None
    """A digest of the caller's credential: the same for the same caller."""
    request: Mapping[str, Any] | None = None
    """The client's request. For reviews of responses only where the policy says `send_request`."""
    earlier: Blocks = ()
    """What stood before in the response."""
    _unreviewed: str | None = field(default=None, repr=False)

    def unreviewed_headers(self) -> dict[str, str]:
        """Headers for a request to a model through the same gateway: with them it is not reviewed, so a policy that asks a
        model does not end up reviewing itself. They are for the gateway that asked and nobody else."""
        return {} if self._unreviewed is None else {"x-luthien-unreviewed": self._unreviewed}

"""Policies for the Luthien gateway, out of its process.

A policy is a class (`Policy`) or a set of functions (`FunctionPolicy`); `serve` answers the gateway with it.
"""

from .answers import Answer, Ask, Block, Pass, Refuse, Replace, ReplaceRequest, Sending
from .config import ConfigError
from .policy import FunctionPolicy, Policy, Watches
from .server import serve, serve_async
from .turn import Blocks, Opaque, Review, Text, Thinking, ToolCall, Unreadable

__all__ = [
    "Answer",
    "Ask",
    "Block",
    "Blocks",
    "ConfigError",
    "FunctionPolicy",
    "Opaque",
    "Pass",
    "Policy",
    "Refuse",
    "Replace",
    "ReplaceRequest",
    "Review",
    "Sending",
    "Text",
    "Thinking",
    "ToolCall",
    "Unreadable",
    "Watches",
    "serve",
    "serve_async",
]

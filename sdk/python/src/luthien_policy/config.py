"""A policy's configuration: dataclasses filled from JSON, all that is wrong told by its path, and their JSON Schema."""

from __future__ import annotations

import dataclasses
import enum
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Union


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong."""

    path: tuple[str, ...]
    message: str

    def __str__(self) -> str:
        return f"{'.'.join(self.path)}: {self.message}" if self.path else self.message


class ConfigError(Exception):
    """A configuration is wrong. Policies raise it from `__init__` for what types cannot say:
    `raise ConfigError("must not be empty", "rules", "0")`."""

    def __init__(self, message: str, *path: str | int) -> None:
        self.problems = [Problem(tuple(str(step) for step in path), message)]
        super().__init__(str(self.problems[0]))

    @classmethod
    def of(cls, problems: Sequence[Problem]) -> ConfigError:
        """One error of several problems."""
        error = cls(problems[0].message, *problems[0].path)
        error.problems = list(problems)
        error.args = ("; ".join(str(problem) for problem in problems),)
        return error


def read(kind: Any, value: Any) -> Any:
    """The value as `kind`: a dataclass or any type that its fields may have. Raises ConfigError with all problems."""
    problems: list[Problem] = []
    result = _read(kind, value, (), problems)
    if problems:
        raise ConfigError.of(problems)
    return result


def _read(kind: Any, value: Any, path: tuple[str, ...], problems: list[Problem]) -> Any:
    def wrong(expected: str) -> None:
        problems.append(Problem(path, f"must be {expected}, is {_shown(value)}"))

    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return value
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _fields(kind, value, path, problems)
    if origin in (Union, types.UnionType):
        return _one_of(arguments, value, path, problems)
    if origin is Literal:
        if not any(value == choice and type(value) is type(choice) for choice in arguments):
            wrong("one of " + ", ".join(repr(choice) for choice in arguments))
        return value
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        try:
            return kind(value)
        except ValueError:
            wrong("one of " + ", ".join(repr(choice.value) for choice in kind))
            return value
    if origin in (list, Sequence, tuple, set, frozenset):
        if not isinstance(value, list):
            wrong("a list")
            return value
        items = [_read(arguments[0], item, (*path, str(at)), problems) for at, item in enumerate(value)]
        make = {tuple: tuple, set: set, frozenset: frozenset}.get(typing.cast(Any, origin), list)
        return items if problems else make(items)
    if origin in (dict, Mapping):
        if not isinstance(value, dict):
            wrong("an object")
            return value
        return {key: _read(arguments[1], item, (*path, key), problems) for key, item in value.items()}
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    words = _WORDS.get(kind)
    if words is None:
        raise TypeError(f"a configuration cannot have a field of type {kind!r} ({'.'.join(path)})")
    if not isinstance(value, kind) or (kind in (int, float) and isinstance(value, bool)):
        wrong(words)
    return value


_WORDS: dict[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    list: "a list",
    dict: "an object",
    type(None): "null",
}


def _fields(kind: type, value: Any, path: tuple[str, ...], problems: list[Problem]) -> Any:
    if not isinstance(value, dict):
        problems.append(Problem(path, f"must be an object, is {_shown(value)}"))
        return value
    hints = typing.get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind) if field.init}
    before = len(problems)
    for name in value.keys() - fields.keys():
        known = ", ".join(fields) or "none"
        problems.append(Problem((*path, name), f"unknown field; known are {known}"))
    read = {}
    for name, field in fields.items():
        if name in value:
            read[name] = _read(hints[name], value[name], (*path, name), problems)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            problems.append(Problem((*path, name), "is missing"))
    if len(problems) > before:
        return value
    try:
        return kind(**read)
    except ConfigError as error:
        problems += [Problem((*path, *problem.path), problem.message) for problem in error.problems]
        return value


def _one_of(kinds: tuple[Any, ...], value: Any, path: tuple[str, ...], problems: list[Problem]) -> Any:
    first: list[Problem] = []
    for kind in kinds:
        if kind is type(None) and value is not None:
            continue
        found: list[Problem] = []
        result = _read(kind, value, path, found)
        if not found:
            return result
        first = first or found
    problems += first
    return value


def _shown(value: Any) -> str:
    names = {bool: str(value).lower(), type(None): "null", dict: "an object", list: "a list"}
    if type(value) in names:
        return names[type(value)]
    text = repr(value)
    return text if len(text) <= 60 else text[:60] + "…"


def schema(kind: Any) -> dict[str, Any]:
    """The JSON Schema of what `read` takes for `kind`."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        hints = typing.get_type_hints(kind)
        properties, required = {}, []
        for field in (field for field in dataclasses.fields(kind) if field.init):
            properties[field.name] = schema(hints[field.name])
            if field.default is not dataclasses.MISSING:
                if isinstance(field.default, (str, int, float, bool, type(None))) and not isinstance(field.default, enum.Enum):
                    properties[field.name]["default"] = field.default
            elif field.default_factory is dataclasses.MISSING:
                required.append(field.name)
        out: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
        return out | ({"required": required} if required else {})
    if origin in (Union, types.UnionType):
        return {"anyOf": [schema(argument) for argument in arguments]}
    if origin is Literal:
        return {"enum": list(arguments)}
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return {"enum": [choice.value for choice in kind]}
    if origin in (list, Sequence, tuple, set, frozenset):
        return {"type": "array", "items": schema(arguments[0])}
    if origin in (dict, Mapping):
        return {"type": "object", "additionalProperties": schema(arguments[1])}
    names = {bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null", list: "array", dict: "object"}
    return {"type": names[kind]} if kind in names else {}

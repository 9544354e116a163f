"""What configurations become, and what is told of wrong ones."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Any, Literal, Optional

import pytest

from luthien_policy import config as configs
from luthien_policy.config import ConfigError


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True)
class Inner:
    words: list[str]
    weight: float = 0.5

    def __post_init__(self) -> None:
        if self.weight < 0:
            raise ConfigError("must not be negative", "weight")


@dataclass(frozen=True)
class Outer:
    name: str
    inner: Inner
    count: int = 1
    mode: Literal["a", "b"] = "a"
    colour: Colour = Colour.RED
    limit: Optional[int] = None
    table: dict[str, list[int]] = field(default_factory=dict)
    anything: Any = None


FULL = {
    "name": "n", "inner": {"words": ["x"], "weight": 1}, "count": 2, "mode": "b", "colour": "blue", "limit": 3,
    "table": {"a": [1, 2]}, "anything": [{}],
}  # fmt: skip


def test_every_field_is_read() -> None:
    assert configs.read(Outer, FULL) == Outer(
        "n", Inner(["x"], 1.0), 2, "b", Colour.BLUE, 3, {"a": [1, 2]}, [{}]
    )


def test_what_is_left_out_has_its_default() -> None:
    assert configs.read(Outer, {"name": "n", "inner": {"words": []}}) == Outer("n", Inner([]))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"name": 5}, "name: must be a text, is 5"),
        ({"count": True}, "count: must be a whole number, is true"),
        ({"count": 1.5}, "count: must be a whole number, is 1.5"),
        ({"mode": "c"}, "mode: must be one of 'a', 'b', is 'c'"),
        ({"colour": "green"}, "colour: must be one of 'red', 'blue', is 'green'"),
        ({"limit": "x"}, "limit: must be a whole number, is 'x'"),
        ({"inner": []}, "inner: must be an object, is a list"),
        ({"inner": {"words": ["a", 1]}}, "inner.words.1: must be a text, is 1"),
        ({"inner": {"words": "ab"}}, "inner.words: must be a list, is 'ab'"),
        ({"inner": {"words": [], "weight": -1}}, "inner.weight: must not be negative"),
        ({"inner": {}}, "inner.words: is missing"),
        ({"table": {"a": [None]}}, "table.a.0: must be a whole number, is null"),
        ({"nmae": "x"}, "nmae: unknown field; known are name, inner, count, mode, colour, limit, table, anything"),
    ],
)
def test_what_is_wrong_is_told_by_its_path(change: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError) as error:
        configs.read(Outer, FULL | change)
    assert str(error.value) == told


def test_all_that_is_wrong_is_told() -> None:
    with pytest.raises(ConfigError) as error:
        configs.read(Outer, {"inner": {"words": [1, 2]}, "count": "x"})
    assert [problem.path for problem in error.value.problems] == [
        ("name",), ("inner", "words", "0"), ("inner", "words", "1"), ("count",),
    ]  # fmt: skip


def test_the_schema_takes_what_is_read() -> None:
    schema = configs.schema(Outer)
    assert schema["required"] == ["name", "inner"]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["inner"]["properties"]["weight"] == {"type": "number", "default": 0.5}
    assert schema["properties"]["limit"] == {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None}
    assert schema["properties"]["mode"] == {"enum": ["a", "b"], "default": "a"}

"""Conversations in which the model calls a tool. Values are drawn or made up: copying is learnt, not lists."""

import json
import random
from dataclasses import dataclass
from typing import Any

VOWELS, CONSONANTS = "aeiou", "bcdfghjklmnprstvwxz"
SKIES = ["sunny", "cloudy", "rainy", "windy", "clear"]
MADE_UP_SHARE = 0.7
CAPITAL_SHARE = 0.5
MOST_TOOLS = 3


@dataclass(frozen=True)
class Use:
    """One use of a tool: the tools on offer, the question, the call, the tool's result and the last word."""

    tools: list[dict[str, Any]]
    question: str
    call: dict[str, Any]
    result: dict[str, Any]
    answer: str


class ToolBox:
    """The tools of `tools.yaml`, as OpenAI's `tools` field has them."""

    def __init__(self, source: dict[str, Any], chance: random.Random) -> None:
        self._values: dict[str, list[str]] = source["values"]
        self._tools: list[dict[str, Any]] = source["tools"]
        self._chance = chance

    def some(self, wanted: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        """A few tools in any order, `wanted` among them."""
        others = [tool for tool in self._tools if tool is not wanted]
        chosen = self._chance.sample(others, self._chance.randrange(MOST_TOOLS))
        chosen += [wanted] if wanted else self._chance.sample(others, 1)
        self._chance.shuffle(chosen)
        return [_schema(tool) for tool in chosen]

    def use(self) -> Use:
        """One use of one tool."""
        tool, drawn = self._chance.choice(self._tools), self._draw()
        call = {"name": tool["name"], "arguments": _filled(tool["arguments"], drawn)}
        return Use(
            tools=self.some(tool),
            question=self._chance.choice(tool["ask"]).format(**drawn),
            call={"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": call}]},
            result={"role": "tool", "content": json.dumps(_filled(tool["result"], drawn))},
            answer=tool["say"].format(**drawn),
        )

    def _draw(self) -> dict[str, Any]:
        drawn: dict[str, Any] = {name: self._value(values) for name, values in self._values.items()}
        number, small = self._chance.randrange(1, 99), self._chance.randrange(1, 30)
        clock = {"hour": self._chance.randrange(24), "minute": f"{self._chance.randrange(60):02d}"}
        sky, other = self._chance.choice(SKIES), made_up(self._chance)
        return drawn | clock | {"number": number, "small": small, "sum": number + small, "sky": sky, "other": other}

    def _value(self, values: list[str]) -> str:
        return made_up(self._chance) if self._chance.random() < MADE_UP_SHARE else self._chance.choice(values)


def made_up(chance: random.Random) -> str:
    """A word that nobody can know."""
    sounds = (chance.choice((VOWELS, CONSONANTS)) for _ in range(chance.randrange(1, 3)))
    word = "".join(map(chance.choice, (*sounds, VOWELS, CONSONANTS, VOWELS)))
    word += "".join(map(chance.choice, (CONSONANTS, VOWELS))) if chance.random() < CAPITAL_SHARE else ""
    return word.capitalize() if chance.random() < CAPITAL_SHARE else word


def _schema(tool: dict[str, Any]) -> dict[str, Any]:
    properties = {name: {"type": kind} for name, kind in tool["parameters"].items()}
    parameters = {"type": "object", "properties": properties, "required": list(properties)}
    function = {"name": tool["name"], "description": tool["description"], "parameters": parameters}
    return {"type": "function", "function": function}


def _filled(value: Any, drawn: dict[str, Any]) -> Any:  # noqa: ANN401  any JSON
    """`value` with its {names} filled in; a text that is nothing but one name becomes the drawn value itself."""
    if isinstance(value, dict):
        return {name: _filled(item, drawn) for name, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, drawn) for item in value]
    if isinstance(value, str) and value[:1] == "{" and value.count("{") == 1 and value.endswith("}"):
        return drawn[value[1:-1]]
    return value.format(**drawn) if isinstance(value, str) else value

"""What is wrong in a file of settings, each problem with its file, line, column and key, in one sentence."""

import difflib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from services.policy.keys import known_keys

KeyPath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A spot in a file, counted from 1; line 0 where there are no lines."""

    source: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.source}:{self.line}:{self.column}" if self.line else self.source


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong."""

    place: Place
    key: KeyPath
    message: str

    def __str__(self) -> str:
        key = ".".join(str(part) for part in self.key)
        return f"{self.place}: {key}: {self.message}" if key else f"{self.place}: {self.message}"


class ConfigError(Exception):
    """A file of settings is refused. Its text holds one line for each problem, in the order of the file."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(sorted(problems, key=lambda p: (p.place, str(p))))
        super().__init__("\n".join(str(problem) for problem in self.problems))


def problems_of(error: ValidationError, place_of: Callable[[KeyPath], Place], model: type[BaseModel]) -> list[Problem]:
    """Every problem that pydantic found in data for `model`, each at the place of its key."""
    found = error.errors(include_url=False)
    inner = {details["loc"][:i] for details in found for i in range(len(details["loc"]))}
    # A list whose items are all wrong is reported as too short as well: the items say it better.
    told = [details for details in found if not (details["type"] == "too_short" and details["loc"] in inner)]
    return [_problem(details, place_of, model) for details in told]


def _problem(details: ErrorDetails, place_of: Callable[[KeyPath], Place], model: type[BaseModel]) -> Problem:
    path = tuple(part for part in details["loc"] if part != "[key]")
    wrong_key = details["type"] == "extra_forbidden" or details["loc"][-1:] == ("[key]",)
    message = _unknown(str(path[-1]), known_keys(model, path[:-1])) if wrong_key else _sentence(details)
    return Problem(place_of(path), path, message)


def did_you_mean(word: str, allowed: Iterable[str]) -> str:
    """`, did you mean 'x'?` where something close is allowed, else nothing."""
    close = difflib.get_close_matches(word, list(allowed), n=1, cutoff=0.6)
    return f", did you mean '{close[0]}'?" if close else ""


def _unknown(key: str, allowed: Sequence[str]) -> str:
    return "unknown key" + (did_you_mean(key, allowed) or f", known here: {', '.join(allowed)}")


def _sentence(details: ErrorDetails) -> str:
    """What pydantic found, in our words."""
    context = details.get("ctx", {})
    given = _shown(details["input"])
    match details["type"]:
        case "missing":
            return "is missing"
        case "greater_than_equal":
            return f"must be at least {context['ge']}{given}"
        case "less_than_equal":
            return f"must be at most {context['le']}{given}"
        case "greater_than":
            return f"must be more than {context['gt']}{given}"
        case "float_type" | "float_parsing" | "finite_number":
            return f"must be a number{given}"
        case "int_type" | "int_parsing" | "int_from_float":
            return f"must be a whole number{given}"
        case "bool_type" | "bool_parsing":
            return f"must be true or false{given}"
        case "string_type":
            return f"must be text, in quotes{given}"
        case "string_too_short":
            return "must not be empty"
        case "string_too_long":
            return f"must have at most {context['max_length']} characters"
        case "string_pattern_mismatch":
            return "may hold small letters, digits, - and _ only, and starts with a letter or digit" + given
        case "enum" | "literal_error":
            allowed = context["expected"].replace("'", "").replace(" or ", ", ")
            return f"must be one of {allowed}{given}{did_you_mean(str(details['input']), allowed.split(', '))}"
        case "too_short":
            return f"needs at least {context['min_length']} of its items"
        case "too_long":
            return f"may have at most {context['max_length']} items"
        case "dict_type" | "model_type" | "model_attributes_type":
            return f"must hold keys and values{given}"
        case "list_type" | "tuple_type":
            return f"must be a list{given}"
        case "value_error":
            return str(context["error"])
        case _:
            return details["msg"][:1].lower() + details["msg"][1:]


def _shown(value: Any) -> str:
    """The value found, unless it is long or could hold a password (an address with a user in it)."""
    if isinstance(value, bool):
        return f", is {str(value).lower()}"
    if isinstance(value, int | float):
        return f", is {value}"
    if value is None:
        return ", is empty"
    if isinstance(value, str) and len(value) <= 40 and not set(value) & set(":/@$"):
        return f", is '{value}'"
    return ""

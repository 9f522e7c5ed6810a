"""JSON as strangers may send it: read within limits, or refused."""

import json
import re
from typing import Any

__all__ = ["compact", "parse"]

_DEEPEST = 64
# Values in one text. A value takes two characters at least and up to some hundred bytes of memory.
_MOST_VALUES = 500_000
# Possessive: without it, the matcher remembers every step through a long string, at a hundred bytes each.
_STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_BRACKETS = re.compile(r"[\[\]{}]")


def compact(value: Any) -> str:
    """JSON text of plain values, ASCII, without spaces; ``ValueError`` for NaN and infinity."""
    return json.dumps(value, allow_nan=False, separators=(",", ":"), ensure_ascii=True)


def parse(text: str, *, name: str) -> Any:
    """Values of a JSON text.

    Parameters
    ----------
    text : str
    name : str
        What the text is, for messages.

    Returns
    -------
    dict, list, str, int, float, bool or None

    Raises
    ------
    ValueError
        If it is no JSON, or nested deeper than 64, or holds more than 500,000 values, a name twice in one object, a
        number that is no 64-bit integer or float64, NaN or infinity.
    """
    bare = _STRING.sub('""', text)
    depth = 0
    for bracket in _BRACKETS.finditer(bare):
        depth += 1 if bracket[0] in "[{" else -1
        if depth > _DEEPEST:
            raise ValueError(f"{name} is nested deeper than {_DEEPEST}")
    if bare.count(",") + bare.count("[") + bare.count("{") > _MOST_VALUES:
        raise ValueError(f"{name} holds more than {_MOST_VALUES} values")
    try:
        return json.loads(
            text, object_pairs_hook=_object, parse_int=_integer, parse_float=_float, parse_constant=_constant
        )
    except json.JSONDecodeError as error:
        raise ValueError(f"{name} is no JSON: {error}") from error
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return values


def _integer(digits: str) -> int:
    if len(digits) > 20 or not -(2**63) <= int(digits) < 2**63:
        raise ValueError(f"{digits[:24]} is no 64-bit integer")
    return int(digits)


def _float(digits: str) -> float:
    value = float(digits)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"{digits[:24]} is no float64")
    return value


def _constant(word: str) -> Any:
    raise ValueError(f"{word} is no JSON")

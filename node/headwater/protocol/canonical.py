"""Canonical JSON: one value, one byte string.

In: None, booleans, integers, strings, lists and string-keyed dicts. Out: the bytes of RFC 8785 for that subset
(keys sorted, no spaces, UTF-8). There are no floats: a figure that is hashed is an integer with its unit in its
name. The parser is strict where `json` is not: duplicate keys, NaN, floats, lone surrogates and deep nesting are
refused, because two readers must never disagree on what was signed.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final, NoReturn

from headwater.errors import InvalidInput

MAX_SAFE_INTEGER: Final = 2**53 - 1
MAX_DEPTH: Final = 64
_STRING_OR_BRACKET: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)

Json = Any
"""None | bool | int | str | list[Json] | dict[str, Json]"""


def canonical_json(value: Json) -> bytes:
    """The canonical bytes of `value`. Raises InvalidInput for anything outside the subset."""
    _check(value, 0)
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise InvalidInput("a string holds a lone surrogate", "pass text that is valid Unicode") from None


def parse_json(data: bytes | str, what: str = "the document", *, floats: bool = False) -> Json:
    """Parse strictly. `floats` lets fractions through for things that are not hashed (an API request)."""
    try:
        text = data.decode("utf-8") if isinstance(data, bytes) else data
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{what} is not UTF-8 at byte {error.start}", "save it as UTF-8") from None

    def refuse_constant(name: str) -> NoReturn:
        raise InvalidInput(f"{what} holds {name}", "JSON has no such number: remove it")

    def parse_float(literal: str) -> float:
        if not floats:
            raise InvalidInput(f"{what} holds the fraction {literal}", "use whole numbers with a unit")
        value = float(literal)
        if value in (float("inf"), float("-inf")):
            raise InvalidInput(f"{what} holds {literal}, which is beyond any float", "use a smaller number")
        return value

    if _nesting(text) > MAX_DEPTH:
        raise InvalidInput(f"{what} is nested too deeply", f"use at most {MAX_DEPTH} levels")
    try:
        value = json.loads(
            text,
            object_pairs_hook=_unique_keys(what),
            parse_constant=refuse_constant,
            parse_float=parse_float,
        )
    except json.JSONDecodeError as error:
        raise InvalidInput(
            f"{what} is not JSON at line {error.lineno}, column {error.colno}: {error.msg}", "mend it there"
        ) from None
    except ValueError as error:  # an integer literal of more digits than Python converts
        raise InvalidInput(f"{what} is not usable JSON: {error}", "use smaller numbers") from None
    _check(value, 0, floats)
    return value


def _nesting(text: str) -> int:
    """Deepest nesting, found without recursion: with a high recursion limit the C scanner overflows its stack."""
    depth = deepest = 0
    for token in _STRING_OR_BRACKET.finditer(text):
        mark = token.group()
        if mark in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif mark in "]}":
            depth -= 1
    return deepest


def _unique_keys(what: str) -> Any:
    def build(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
        out = dict(pairs)
        if len(out) != len(pairs):
            seen: set[str] = set()
            twice = next(k for k, _ in pairs if k in seen or seen.add(k))  # type: ignore[func-returns-value]
            raise InvalidInput(f"{what} names the key {twice!r} twice", "keep one of them")
        return out

    return build


def _check(value: Json, depth: int, floats: bool = False) -> None:
    if depth > MAX_DEPTH:
        raise InvalidInput("the value is nested too deeply", f"use at most {MAX_DEPTH} levels")
    if value is None or isinstance(value, bool):
        return
    if isinstance(value, str):
        if any(0xD800 <= ord(c) <= 0xDFFF for c in value):
            raise InvalidInput("a string holds a lone surrogate", "pass text that is valid Unicode")
        return
    if isinstance(value, int):
        if abs(value) > MAX_SAFE_INTEGER:
            raise InvalidInput(f"the integer {value} is beyond 2**53 - 1", "write it as a string of digits")
        return
    if isinstance(value, list):
        for item in value:
            _check(item, depth + 1, floats)
        return
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str) or not key.isascii():
                raise InvalidInput(f"the key {key!r} is not ASCII text", "use ASCII keys")
            _check(item, depth + 1, floats)
        return
    if floats and isinstance(value, float):
        return
    raise InvalidInput(
        f"a {type(value).__name__} has no canonical form", "use whole numbers, text, lists and objects"
    )

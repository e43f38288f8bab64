"""One line as a JSON object, strictly: what could be read in two ways is refused."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from cosmo.produce.lines import MAX_LINE_BYTES, Line
from cosmo.produce.outcomes import LineReason, LineRefused


def parse_object(line: Line) -> dict[str, Any]:
    """The object on the line. Raises LineRefused: line_too_long, not_utf8, not_json, duplicate_key, not_an_object."""
    if line.too_long:
        raise LineRefused(LineReason.LINE_TOO_LONG, f"{line.size_bytes:,} bytes, {MAX_LINE_BYTES:,} are allowed")
    try:
        found = _DECODER.decode(line.raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise LineRefused(LineReason.NOT_UTF8, f"byte 0x{line.raw[error.start]:02x} at {error.start}") from error
    except json.JSONDecodeError as error:
        raise LineRefused(LineReason.NOT_JSON, f"{error.msg} at column {error.colno}") from error
    except RecursionError as error:
        raise LineRefused(LineReason.NOT_JSON, "nested too deeply") from error
    except ValueError as error:  # a whole number of thousands of digits
        raise LineRefused(LineReason.NOT_JSON, str(error)) from error
    if type(found) is not dict:
        raise LineRefused(LineReason.NOT_AN_OBJECT, f"{json_type(found)} where an object is wanted")
    return found


def json_type(value: object) -> str:
    """What JSON calls a value of this type, with its article."""
    names = {type(None): "null", bool: "a boolean", int: "a number", float: "a number", str: "a string", list: "a list"}
    return names.get(type(value), "an object")


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in found if names.count(name) > 1)
        raise LineRefused(LineReason.DUPLICATE_KEY, f"{twice[:50]!r} stands twice in one object")
    return found


def _no_constant(name: str) -> NoReturn:
    raise LineRefused(LineReason.NOT_JSON, f"{name} is not JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_without_duplicates, parse_constant=_no_constant)

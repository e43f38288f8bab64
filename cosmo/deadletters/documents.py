"""Dead letters as JSON, and as text for people."""

from __future__ import annotations

from math import isfinite
from typing import Any

from cosmo.deadletters.examine import Examined
from cosmo.deadletters.letter import Letter

SHOWN_BYTES = 256
BYTES_IN_A_ROW = 16


def as_document(letter: Letter, examined: Examined) -> dict[str, Any]:
    """Everything about a letter; bytes in hexadecimal, whole."""
    return {
        "where": letter.where,
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "died_at": letter.died_at.isoformat(),
        "reason": letter.reason or None,
        "detail": letter.detail,
        "came_from": letter.came_from,
        "errors": dict(letter.errors),
        "replays": letter.replays,
        "headers": [[name, _hex(value)] for name, value in letter.headers],
        "key_hex": _hex(letter.key),
        "value_hex": _hex(letter.value),
        "value_bytes": None if letter.value is None else len(letter.value),
        "now": {"verdict": str(examined.verdict), "detail": examined.detail, "decoded": plain(examined.fields)},
    }


def plain(value: Any) -> Any:
    """A decoded record as JSON holds it: instants as ISO 8601, bytes as their number, half surrogates escaped, and
    numbers that JSON does not have (NaN, infinity) by their name."""
    if isinstance(value, dict):
        return {plain(name): plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    if isinstance(value, bytes):
        return f"<{len(value):,} bytes>"
    if isinstance(value, float) and not isfinite(value):
        return str(value)
    if isinstance(value, str):
        return str(value).encode("utf-8", "backslashreplace").decode()
    return value.isoformat() if hasattr(value, "isoformat") else value


def visible(text: str) -> str:
    """Text of strangers for a terminal: what would move its cursor or change its colours is spelt out."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def hex_rows(value: bytes | None) -> list[str]:
    """The beginning of the bytes as rows of offset, hexadecimal and printable characters."""
    if value is None:
        return ["null"]
    rows = [_row(value, at) for at in range(0, min(len(value), SHOWN_BYTES), BYTES_IN_A_ROW)]
    if len(value) > SHOWN_BYTES:
        rows.append(f"… {len(value) - SHOWN_BYTES:,} bytes more; --json has them all")
    return rows or ["0 bytes"]


def printable(value: bytes | None) -> str:
    """Bytes in one line: as text where they are text."""
    if value is None:
        return "null"
    text = value.decode("utf-8", "replace")
    return text if text.isprintable() and "\ufffd" not in text else f"0x{value.hex()}"


def _row(value: bytes, at: int) -> str:
    part = value[at : min(at + BYTES_IN_A_ROW, SHOWN_BYTES)]
    shown = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in part)
    return f"{at:06x}  {part.hex(' '):<{BYTES_IN_A_ROW * 3}} {shown}"


def _hex(value: bytes | None) -> str | None:
    return None if value is None else value.hex()

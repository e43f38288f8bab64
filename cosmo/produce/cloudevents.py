"""CloudEvents envelopes: an event in structured mode on the line becomes one in binary mode on the topic.

The attributes become headers (``ce_id``, ``ce_source``…) and ``partitionkey`` the record's key, as the CloudEvents
binding for Kafka has it; ``data`` is read as any line would be. What is not an envelope passes as it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, NoReturn

from cosmo.produce.jsonline import json_type
from cosmo.produce.outcomes import Headers, LineReason, LineRefused

CONTENT_TYPE = ("content-type", b"application/avro")
"""The value is Avro by then, whatever ``datacontenttype`` the envelope gave its data."""

_NEEDED = ("id", "source", "type")
_NOT_HEADERS = frozenset({"data", "datacontenttype"})
_NAME = re.compile("[a-z0-9]{1,64}")  # the standard's rule for attribute names, with room


@dataclass(frozen=True, slots=True)
class Envelope:
    """A line's data, and what its envelope, if any, says for the record's key and headers."""

    data: Any
    key: bytes | None = None
    headers: Headers = ()


def unwrap(found: dict[str, Any]) -> Envelope:
    """The data of a line. Raises LineRefused (bad_cloud_event) for an envelope that breaks the standard."""
    if "specversion" not in found:
        return Envelope(found)
    if found["specversion"] != "1.0":
        _refuse(f"specversion is {str(found['specversion'])[:20]!r}, only '1.0' is read")
    for name in _NEEDED:
        if type(found.get(name)) is not str or not found[name]:
            _refuse(f"{name} is not there, empty, or not a string")
    if "data" not in found:
        _refuse("data_base64 is not read; send data" if "data_base64" in found else "data is not there")
    attributes = {name: _text(name, value) for name, value in found.items() if name not in _NOT_HEADERS}
    headers = [(f"ce_{name}", text) for name, text in attributes.items() if text is not None]
    return Envelope(found["data"], attributes.get("partitionkey"), [*headers, CONTENT_TYPE])


def _text(name: str, value: Any) -> bytes | None:
    """An attribute as CloudEvents writes it in text; None for null, which means that it is not set."""
    if not _NAME.fullmatch(name):
        _refuse(f"{name[:50]!r} cannot be the name of an attribute: small letters and digits only")
    if value is None:
        return None
    if type(value) is bool:
        return b"true" if value else b"false"
    if type(value) not in {str, int}:
        _refuse(f"{name} is {json_type(value)}; an attribute is a string, a whole number or a boolean")
    try:
        return str(value).encode()
    except UnicodeEncodeError:
        _refuse(f"{name} holds half of a UTF-16 surrogate pair")


def _refuse(detail: str) -> NoReturn:
    raise LineRefused(LineReason.BAD_CLOUD_EVENT, detail)

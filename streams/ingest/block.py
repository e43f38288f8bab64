"""Many Avro records decoded at once: their bodies become one object-container block, which is read into columns."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import polars as pl
from polars_avro import AvroError, read_avro

from streams.ingest.walk import well_formed

_SYNC = bytes(16)
_MAGIC = b"Obj\x01"


class NotText(Exception):  # noqa: N818 - says what the bytes are
    """Some string in the block is not UTF-8; the decoder does not tell whose."""


@dataclass(frozen=True)
class BlockReader:
    """Reads bodies that were written with one schema (parsed JSON)."""

    schema: Any

    def read(self, bodies: list[bytes]) -> tuple[pl.DataFrame, npt.NDArray[np.bool_]]:
        """The records as columns, and for each body whether it is among them. In order. Raises `NotText`."""
        data = b"".join(bodies)
        fit = well_formed(self.schema, bodies, data)
        count = int(fit.sum())
        if count < len(bodies):
            data = b"".join(body for body, good in zip(bodies, fit, strict=True) if good)
        try:
            return read_avro(io.BytesIO(self._container(count, data))), fit
        except (AvroError, pl.exceptions.PolarsError) as error:
            raise NotText(str(error)) from error

    def _container(self, count: int, data: bytes) -> bytes:
        block = _long(count) + _long(len(data)) + data + _SYNC if count else b""
        return self._header + block

    @cached_property
    def _header(self) -> bytes:
        meta = {b"avro.schema": orjson.dumps(self.schema), b"avro.codec": b"null"}
        entries = b"".join(_bytes(key) + _bytes(value) for key, value in meta.items())
        return _MAGIC + _long(len(meta)) + entries + _long(0) + _SYNC


def _bytes(data: bytes) -> bytes:
    return _long(len(data)) + data


def _long(number: int) -> bytes:
    """Zigzag varint of a number that is not negative."""
    number <<= 1
    out = bytearray()
    while number > 0x7F:
        out.append((number & 0x7F) | 0x80)
        number >>= 7
    return bytes([*out, number])

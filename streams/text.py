"""What a query becomes before anything stores, compares or prompts with it: masked, then normalized.

One implementation, over columns, serves both the stream and single look-ups, so that a reader's query always finds
the key that ingest wrote.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from schemas.text import INVISIBLE, SPACE_LIKE

if TYPE_CHECKING:  # 0.3 s to import, which the look-up of one plain query can do without
    import polars as pl

DASHES = "\\-\u2010-\u2015\u2043\u2212\u30fc"
"""For a character class: dashes, the minus sign, and the long-vowel mark, which stands for one in Japanese numbers."""
BETWEEN_DIGITS = rf"\s().\u00b7\u2022/\u2044\u2215{DASHES}\u061c\u200c\u200d"
"""What groups the digits of a number: spaces, brackets, dots, slashes, dashes, and marks that `INVISIBLE` leaves."""

MASKS = (
    # An e-mail address; the part before @ may be anything without a space.
    (r"[^\s@<>]+@[^\s@<>]+\.[^\s@<>]+", "<email>"),
    # Telephone, card and account numbers (an IBAN keeps its letters): nine or more digits, each followed by at most
    # two separators. In any script: an Arabic or Indian keyboard types its own digits.
    (rf"\+?(?:\d[{BETWEEN_DIGITS}]{{0,2}}){{8,}}\d", "<number>"),
    # Eight digits in a row: customer and order numbers; a shop's sizes and models are shorter.
    (r"\d{8,}", "<number>"),
)
"""(pattern, replacement), applied in this order. A masked query is still counted; its mask is what is kept.
Rust's and Python's regular expressions read these alike."""


_ANY_MASK = "|".join(sorted({mask for _, mask in MASKS}))
_WORD_WITH_MASK = rf"\S*(?:{_ANY_MASK})\S*"


def nothing_but_masks(text: pl.Expr) -> pl.Expr:
    """Whether the masks have left nothing of a normalized query: everybody's bar code, or address, is this one query.

    A word, between spaces, that holds a mask counts as masked whole (``mail:<email>``, ``<email>,<number>``): what is
    glued to a number or an address belongs to it. Something is left when another word has a letter or a digit.
    """
    rest = text.str.replace_all(_WORD_WITH_MASK, "")
    return text.str.contains(_ANY_MASK) & ~rest.str.contains(r"[\p{L}\p{N}]")


def masked(text: pl.Expr) -> pl.Expr:
    """Personal data replaced by ``<email>`` or ``<number>``; everything else as it was."""
    for pattern, replacement in MASKS:
        text = text.str.replace_all(pattern, replacement)
    return text


def normalized(text: pl.Expr) -> pl.Expr:
    """The form in which queries are compared: NFKC, repaired as the input contract says (`schemas.text.clean`), masked,
    lower case. Idempotent. May be empty."""
    import polars as pl

    plain = text.str.contains(_PLAIN) & ~text.str.contains(_SPACED)
    return pl.when(plain).then(text.str.to_lowercase()).otherwise(_normalized(pl.when(~plain).then(text)))


_PLAIN = r"^(?:[ -/:-?A-~]*[0-9]){0,7}[ -/:-?A-~]*$"
"""Printable ASCII without @ and with seven digits at most: nothing to fold and nothing to mask. Most queries are."""
_SPACED = r"^ |  | $"


def _normalized(text: pl.Expr) -> pl.Expr:
    seen = text.str.normalize("NFKC").str.replace_all(INVISIBLE, "").str.replace_all(SPACE_LIKE, " ")
    return masked(seen.str.strip_chars(" ")).str.to_lowercase().str.normalize("NFKC")


def mask(text: str) -> str:
    """One string masked. About 0.1 ms; use `masked` for columns."""
    import polars as pl

    return str(pl.select(masked(pl.lit(text))).item())


def normalize_query(text: str) -> str:
    """One query normalized and masked, exactly as ingest does it. Up to 0.1 ms; use `normalized` for columns."""
    if _PLAIN_TEXT.fullmatch(text) and not _SPACED_TEXT.search(text):
        return text.lower()
    import polars as pl

    return str(pl.select(normalized(pl.lit(text))).item())


_PLAIN_TEXT = re.compile(_PLAIN.strip("^$"))
_SPACED_TEXT = re.compile(_SPACED)

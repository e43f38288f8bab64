"""Free text is repaired in one way, whichever path it takes."""

from __future__ import annotations

import re
import sys
import unicodedata

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from schemas.text import INVISIBLE, SPACE_LIKE, clean, has_control, has_lone_surrogate

EVERYTHING = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code <= 0xDFFF]


def test_space_like_is_every_control_character_and_separator_of_unicode() -> None:
    wanted = {char for char in EVERYTHING if unicodedata.category(char) in {"Cc", "Zs", "Zl", "Zp"}}
    assert set(re.findall(SPACE_LIKE[:-1], "".join(EVERYTHING))) == wanted


def test_the_invisible_are_formatting_characters_and_never_joiners() -> None:
    dropped = set(re.findall(INVISIBLE, "".join(EVERYTHING)))
    assert {unicodedata.category(char) for char in dropped} == {"Cf"}
    assert dropped.isdisjoint("\u200c\u200d")


def test_polars_repairs_every_character_as_python_does() -> None:
    texts = [f"a{char}b" for char in EVERYTHING]
    by_columns = pl.Series(texts).str.replace_all(INVISIBLE, "").str.replace_all(SPACE_LIKE, " ").str.strip_chars(" ")
    assert by_columns.to_list() == [clean(text) for text in texts]


@given(st.text())
def test_cleaning_twice_is_cleaning_once(text: str) -> None:
    assert clean(clean(text)) == clean(text)


@given(st.text())
def test_clean_text_has_no_controls_and_no_loose_spaces(text: str) -> None:
    cleaned = clean(text)
    assert not has_control(cleaned)
    assert cleaned == cleaned.strip()
    assert "  " not in cleaned


@given(st.text(st.characters()))
def test_a_lone_surrogate_is_what_utf8_cannot_carry(text: str) -> None:
    assert has_lone_surrogate(text) == any(unicodedata.category(char) == "Cs" for char in text)

"""Makes the catalogue's abbreviations readable by rule, so that people, and the model, see words.

"FRZN BAGGED VEGETABLES - PLAIN" becomes "Frozen Bagged Vegetables, Plain". The rules, in this order:

1. A text that the table of texts names is replaced as a whole.
2. Remarks in parentheses become parts after a comma; those that were cut, or say only how the shop files a thing, go.
3. The last word of a text of full length is a stump: completed by the table, dropped where that would be a guess.
4. Every word is looked up in the table; a word that is not there stays as it is.
5. Slashes and ampersands join, colons and dashes become commas, and the result is written as a title.

Nothing is invented: there is no word in a title that no table and no catalogue holds. All functions are pure.
"""

from __future__ import annotations

import re

from cosmo.demo.words import Words, words

CATALOGUE_CHARS = 30
"""The catalogue cuts its texts here; commas that it dropped later make a cut one up to four characters shorter."""
_CUT_CHARS = CATALOGUE_CHARS - 4

_REMARK = re.compile(r"\(([^()]*)\)")
_CUT_REMARK = re.compile(r"\([^()]*$")
_WITH = re.compile(r"\bW/\s*(?!O\b)")
_WITHOUT = re.compile(r"\bW/O\b")
_PART = re.compile(r"\s*(?::|\s-|-\s)\s*|\s*\.\s*$|(?<=[A-Z]{4})(?<!MULTI)(?<!SEMI)-(?=[A-Z]{4})")
_JOIN = re.compile(r"\s*[/&]\s*")
_WORD = re.compile(r"[A-Z][A-Z']*")
_SHOP_MARK = re.compile(r"^(?:AB|ALL|[A-Z])\s+(?=[\d.])")
_SHOP_NUMBER = re.compile(r"\d{6}")
_SIZE_TOKEN = re.compile(r"[\d./]*\d|[A-Z]+|[^\sA-Z\d]+")


def readable(text: str, table: Words | None = None) -> str:
    """A catalogue text as words in lower case but for names and acronyms; empty if nothing of it can be kept."""
    table = table or words()
    upper = text.strip().upper()
    if upper in table.texts:
        return table.texts[upper]
    cut = len(upper) >= _CUT_CHARS
    for start, spelled in table.starts.items():
        if upper.startswith(start):
            upper = spelled + upper.removeprefix(start)
            break
    parts = [_expanded(part, table) for part in _parts(upper, cut=cut, table=table)]
    return ", ".join(part for part in parts if part)


def product_name(product_type: str, category: str, table: Words | None = None) -> str:
    """What a product is: its type, with the category's noun where the type alone names nothing ("PREMIUM" bacon)."""
    table = table or words()
    name, noun = readable(product_type, table), _noun(category, table)
    if product_type in table.before:
        name = f"{name} {noun}"
    elif product_type in table.after:
        name = noun if product_type == "MISCELLANEOUS" else f"{noun} {name}"
    prefix = table.prefixes.get(category, "")
    return f"{prefix} {name}" if prefix and prefix not in name else name


def title(name: str, *, size: str | None = None, private: bool = False, table: Words | None = None) -> str:
    """The title of a product: its name as a title, its size, and whether it is the shop's own brand."""
    parts = [titled(name, table), readable_size(size, table) if size else "", "Store Brand" if private else ""]
    return ", ".join(part for part in parts if part)


def readable_size(size: str, table: Words | None = None) -> str:
    """``12 PK/12 OZ`` becomes ``12 pack, 12 oz``. Marks of the shop go: one letter in front, numbers of six digits."""
    table = table or words()
    text = _SHOP_MARK.sub("", size.strip().upper())
    if _SHOP_NUMBER.search(text):
        return ""
    groups = [_SIZE_TOKEN.findall(group) for group in re.split(r"(?<=[A-Z])\s*/", text)]
    return ", ".join(" ".join(table.units.get(token, token) for token in group) for group in groups if group)


def titled(text: str, table: Words | None = None) -> str:
    """Capitals where a title has them."""
    table = table or words()
    spoken = [_capital(word, first=not index, table=table) for index, word in enumerate(text.split())]
    return " ".join(spoken)


def _parts(text: str, *, cut: bool, table: Words) -> list[str]:
    """The text in parts that a title sets off by commas."""
    whole = _CUT_REMARK.sub("", text)
    if cut and whole == text:
        whole = _without_stump(text, table)
    remarks = [remark for remark in _REMARK.findall(whole) if remark.strip() not in table.remarks]
    spelled = _WITH.sub("WITH ", _WITHOUT.sub("WITHOUT", _REMARK.sub(" ", whole)))
    return [*_PART.split(spelled), *remarks]


def _without_stump(text: str, table: Words) -> str:
    head, last = re.fullmatch(r"(.*?)([A-Z]*)", text, re.DOTALL).groups()  # type: ignore[union-attr]  # matches any text
    return f"{head}{table.stumps.get(last, last)}".rstrip(" /&-:+")


def _expanded(part: str, table: Words) -> str:
    joined = _JOIN.sub(" & ", part).strip(" ,&.")
    spoken = _WORD.sub(lambda match: _word(match.group(), table), joined)
    return " ".join(spoken.split())


def _word(word: str, table: Words) -> str:
    if word in table.acronyms:
        return word
    return table.words.get(word, word.lower())


def _noun(category: str, table: Words) -> str:
    if category in table.nouns:
        return table.nouns[category]
    return readable(re.split(r"[/,]| - |-(?=[A-Z])", category)[0], table)


def _capital(word: str, *, first: bool, table: Words) -> str:
    if not first and word in table.small:
        return word
    return "-".join(part[:1].upper() + part[1:] for part in word.split("-"))

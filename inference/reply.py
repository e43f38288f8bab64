"""A server's JSON as answers: both forms in which log-probabilities come, checked against what was asked.

llama.cpp writes chat's form (``logprobs.content[]``), vLLM and OpenAI that of completions (``tokens`` beside
``token_logprobs``). Whatever does not fit is a `BadAnswer`: an answer that is given to the wrong prompt is worse than
none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson

from inference.asked import Answer, Candidate, Token
from inference.errors import BadAnswer


def answers_of(body: bytes, *, prompts: int, n: int, model_id: str, at: datetime) -> tuple[Answer, ...]:
    """One answer per prompt, by the index that each choice carries: prompt ``i`` has ``i * n`` to ``i * n + n - 1``.

    ``model_id`` is used when the reply names no model. Raises BadAnswer.
    """
    try:
        document = orjson.loads(body)
        choices = _in_order(document["choices"], expected=prompts * n)
        candidates = [_candidate(choice) for choice in choices]
        model_id = document.get("model") or model_id
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadAnswer(f"The model server's answer cannot be read: {type(error).__name__}: {error}.") from error
    grouped = (tuple(candidates[start : start + n]) for start in range(0, len(candidates), n))
    return tuple(Answer(candidates=group, model_id=str(model_id), at=at) for group in grouped)


def _in_order(choices: Sequence[Mapping[str, Any]], *, expected: int) -> list[Mapping[str, Any]]:
    by_index = {choice["index"]: choice for choice in choices}
    if len(choices) != expected or by_index.keys() != set(range(expected)):
        raise ValueError(f"{expected} choices were asked for, and {len(choices)} came")
    return [by_index[index] for index in range(expected)]


def _candidate(choice: Mapping[str, Any]) -> Candidate:
    text = choice["text"]
    if not isinstance(text, str):
        raise TypeError("a choice's text is no text")
    tokens = _tokens(choice["logprobs"]) if text or choice["logprobs"] else ()
    if text and not tokens:  # without scores it would pass for implausible
        raise ValueError("a choice's text has no log-probabilities")
    return Candidate(text=text, tokens=tokens, cut=choice["finish_reason"] == "length")


def _tokens(logprobs: Mapping[str, Any]) -> tuple[Token, ...]:
    if "content" in logprobs:
        pairs = [(entry["token"], entry["logprob"]) for entry in logprobs["content"]]
    else:
        pairs = list(zip(logprobs["tokens"], logprobs["token_logprobs"], strict=True))
    if not all(isinstance(text, str) for text, _ in pairs):  # some servers can be told to give numbers
        raise TypeError("a token's text is no text")
    return tuple(Token(text, _logprob(value)) for text, value in pairs)


def _logprob(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError("a log-probability is not finite")
    return min(0.0, float(value))  # rounding makes certainty a little more than certain

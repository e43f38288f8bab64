"""Pairs, requests and answers to test with."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from inference.asked import Answer, Candidate, Prompt, Token
from inference.pairs import prompts_of
from schemas.records import BehaviorPair, IntentRequest, PairKind, Product, SampleReason
from tests.support.scripted_answers import answers

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SODA = Product(product_id="826784", title="Soft drinks, 12 pack cans", product_type="soft drinks", category="grocery")
CHIPS = Product(product_id="902172", title="Potato chips", product_type="bag snacks", category="grocery")


def pair(**changes: Any) -> BehaviorPair:
    """Shoppers search "diet soda" and buy soft drinks."""
    base = BehaviorPair(
        pair_id="pair-1",
        kind=PairKind.SEARCH_BUY,
        query="diet soda",
        products=(SODA,),
        event_time=NOW - timedelta(minutes=2),
        sampled_time=NOW - timedelta(minutes=1),
        support=5,
        reason=SampleReason.NEW,
        priority=1.5,
        specificity=0.7,
        product_types=("soft drinks",),
    )
    return replace(base, **changes)


def co_buy(**changes: Any) -> BehaviorPair:
    """Shoppers buy soft drinks and chips together."""
    together: dict[str, Any] = {"kind": PairKind.CO_BUY, "query": None, "products": (SODA, CHIPS), "product_types": ()}
    return pair(**{"pair_id": "pair-2", "specificity": None, **together, **changes})


def request(**changes: Any) -> IntentRequest:
    """A reader asks for a query that has no features."""
    base = IntentRequest(
        request_id="request-1", kind=PairKind.SEARCH, query="paper plates", products=(), requested_time=NOW
    )
    return replace(base, **changes)


def candidate(text: str, logprob: float = -0.5, *, cut: bool = False) -> Candidate:
    """A candidate whose words are its tokens."""
    words = [f" {word}" for word in text.split()]
    return Candidate(text="".join(words), tokens=tuple(Token(word, logprob) for word in words), cut=cut)


def answer(*candidates: Candidate | str) -> Answer:
    """A server's answer to one prompt."""
    said = tuple(one if isinstance(one, Candidate) else candidate(one) for one in candidates)
    return Answer(candidates=said, model_id="test-model", at=NOW)


def scripted(of: BehaviorPair, count: int, max_tokens: int = 16) -> list[tuple[Prompt, Answer]]:
    """What the scripted model answers to a pair's prompts."""
    found = []
    for prompt in prompts_of(of, count):
        said = answers(prompt.text, n=1, max_tokens=max_tokens, temperature=0.0, seed=0)
        candidates = tuple(
            Candidate(text=one.text, tokens=tuple(map(Token, one.tokens, one.logprobs)), cut=one.cut) for one in said
        )
        found.append((prompt, Answer(candidates=candidates, model_id="scripted-model", at=NOW)))
    return found

"""The same language twice, as GBNF and as a regular expression, for grammars that chance makes."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

import pytest
from prefixd_mlx.grammar import GrammarVocabulary, HeldTokens

letters = ['a', 'b', 'é', '€', '😀']
end = 256


@dataclass(frozen=True)
class Twin:
    gbnf: str
    regex: str


@pytest.fixture(scope='module')
def vocabulary() -> GrammarVocabulary:
    pieces = [bytes([byte]) for byte in range(256)] + [b'']
    return GrammarVocabulary(pieces, [end], lambda text: list(text.encode()))


def terminal(draw: random.Random) -> Twin:
    chosen = ''.join(draw.sample(letters, draw.randint(1, 3)))
    negated = draw.choice(['', '^'])
    return draw.choice(
        [
            Twin(f'"{chosen}"', f'(?:{chosen})'),
            Twin(f'[{negated}{chosen}]', f'[{negated}{chosen}]'),
            Twin('[a-cé-€]', '[a-cé-€]'),
            Twin('.', '.'),
        ]
    )


def some(draw: random.Random, depth: int) -> Twin:
    """Never empty: only such may be repeated."""
    kind = draw.choice(['terminal', 'either', 'joined', 'joined']) if depth > 0 else 'terminal'
    if kind == 'terminal':
        return terminal(draw)
    one, other = some(draw, depth - 1), some(draw, depth - 1)
    if kind == 'either':
        return Twin(f'({one.gbnf} |\n {other.gbnf})', f'(?:{one.regex}|{other.regex})')
    tail = anything(draw, depth - 1)
    first, second = draw.choice([(one, tail), (tail, one)])
    return Twin(f'{first.gbnf} {second.gbnf}', first.regex + second.regex)


def anything(draw: random.Random, depth: int) -> Twin:
    one = some(draw, depth)
    times = draw.choice(['', '*', '+', '?', '{2}', '{1,}', '{0,2}', '{2,3}'])
    return Twin(f'({one.gbnf}){times}', f'(?:{one.regex}){times}')


def reads(grammar: str, text: str, vocabulary: GrammarVocabulary) -> bool:
    held = HeldTokens(grammar, vocabulary)
    for byte in text.encode():
        allowed = held.allows(byte)
        assert held.allowed()[byte] == allowed
        if not allowed:
            return False
        held.accept(byte)
    return held.allows(end)


@pytest.mark.parametrize('seed', range(15))
def test_a_grammar_reads_what_the_same_regular_expression_reads(
    seed: int, vocabulary: GrammarVocabulary
) -> None:
    draw = random.Random(seed)
    read_texts = 0
    for _ in range(10):
        twin = anything(draw, 3)
        pattern = re.compile(twin.regex, re.DOTALL)
        for _ in range(12):
            text = ''.join(draw.choices([*letters, 'c', 'z'], k=draw.randint(0, 6)))
            is_read = pattern.fullmatch(text) is not None
            read_texts += is_read
            assert reads(f'root ::= {twin.gbnf}', text, vocabulary) == is_read, twin
    assert read_texts > 0

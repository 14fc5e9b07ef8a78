"""Grammars: what they allow token by token, and what is refused before it costs anything."""

from __future__ import annotations

import itertools
import re

import pytest
from prefixd_mlx.deep_thread import start_deep_thread
from prefixd_mlx.errors import EngineError
from prefixd_mlx.gbnf_rules import lark_of
from prefixd_mlx.grammar import GrammarVocabulary, HeldTokens

end = 256
# Every byte, an end, a token without text, some of several characters and one of half a character.
pieces = [bytes([byte]) for byte in range(256)]
pieces += [b'<end>', b'', b'ab', b'abc', 'é,'.encode(), '🚣'.encode()[:2], b'!"']


@pytest.fixture(scope='module')
def vocabulary() -> GrammarVocabulary:
    return GrammarVocabulary(pieces, [end], lambda text: list(text.encode()))


def texts_of(held_of: type[HeldTokens], grammar: str, vocabulary: GrammarVocabulary) -> set[bytes]:
    """All texts that the grammar lets end, found by walking over every token that it allows."""
    found: set[bytes] = set()
    trails: list[list[int]] = [[]]
    while trails:
        trail = trails.pop()
        held = held_of(grammar, vocabulary)
        for token in trail:
            held.accept(token)
        allowed = held.allowed()
        assert all(held.allows(token) for token in map(int, allowed.nonzero()[0]))
        for token in map(int, allowed.nonzero()[0]):
            if token == end:
                found.add(b''.join(pieces[each] for each in trail))
            else:
                trails.append([*trail, token])
    return found


@pytest.mark.parametrize(
    ('grammar', 'texts'),
    [
        ('root ::= "yes"', ['yes']),
        ('root ::= "a" "x" | [a-c] "y" | ("a" "b" "c") | ("ab" "d")',
         ['ax', 'ay', 'by', 'cy', 'abc', 'abd']),
        ('root ::= ("a" | "b"){1,2} "é,"?', ['a', 'b', 'aa', 'ab', 'ba', 'bb',
         'aé,', 'bé,', 'aaé,', 'abé,', 'baé,', 'bbé,']),
        ('root ::= item ("," item){1}\nitem ::= "ß" | "🚣" # a boat',
         ['ß,ß', 'ß,🚣', '🚣,ß', '🚣,🚣']),
        ('root ::= "\\x41\\u00e9\\U0001F6A3" [\\]\\[\\\\"]?',
         ['Aé🚣', 'Aé🚣]', 'Aé🚣[', 'Aé🚣\\', 'Aé🚣"']),
        ('root ::= outer\nouter ::= inner\ninner ::= "z" | "<end>"', ['z', '<end>']),
        ('root ::= "" | "q"', ['', 'q']),
    ],
)  # fmt: skip
def test_allows_exactly_the_texts_of_the_grammar(
    vocabulary: GrammarVocabulary, grammar: str, texts: list[str]
) -> None:
    assert texts_of(HeldTokens, grammar, vocabulary) == {text.encode() for text in texts}


def test_a_class_without_some_characters_allows_all_others(vocabulary: GrammarVocabulary) -> None:
    held = HeldTokens('root ::= [^a-y\\n]{3}', vocabulary)
    for char in 'Zz\U0010ffff':
        for byte in char.encode():
            assert held.allows(byte)
            held.accept(byte)
    assert list(held.allowed().nonzero()[0]) == [end]
    assert not HeldTokens('root ::= [^a-y\\n]', vocabulary).allows(ord('b'))
    assert not HeldTokens('root ::= [^a-y\\n]', vocabulary).allows(ord('\n'))


def test_an_end_is_allowed_only_where_the_text_may_end(vocabulary: GrammarVocabulary) -> None:
    held = HeldTokens('root ::= "a" "b"*', vocabulary)
    assert not held.allows(end)
    held.accept(ord('a'))
    assert held.allows(end)
    held.accept(end)
    assert held.allows(ord('b'))


def test_a_token_without_text_is_never_allowed(vocabulary: GrammarVocabulary) -> None:
    held = HeldTokens('root ::= .*', vocabulary)
    assert not held.allows(257)
    assert not held.allowed()[257]


def test_taking_what_is_not_allowed_is_an_error(vocabulary: GrammarVocabulary) -> None:
    held = HeldTokens('root ::= "a"', vocabulary)
    with pytest.raises(EngineError) as caught:
        held.accept(ord('b'))
    assert caught.value.code == 'PREFIXD_E_ENGINE_GRAMMAR'


@pytest.mark.parametrize(
    ('grammar', 'words'),
    [
        ('root ::= ("a"', 'Line 1, column 14 of the grammar: a group is not closed'),
        ('root ::= "a\n', 'a text in quotes is not closed'),
        ('root ::= [a-', 'a class in brackets is not closed'),
        ('root ::= []', 'a class has no characters'),
        ('root ::= [z-a]', 'a range of a class ends before it begins'),
        ('root ::= "\\q"', 'this escape is unknown'),
        ('root ::= "\\u12"', 'this escape is unknown'),
        ('root ::= missing', 'Line 1, column 10 of the grammar: the rule `missing` is not defined'),
        ('a ::= "a"', 'there is no rule `root`'),
        ('root ::= "a"\nroot ::= "b"', 'Line 2, column 1 of the grammar: the rule `root`'),
        ('root = "a"', '`::=` must come here'),
        ('root ::= "a" )', 'the end of the line must come here'),
        ('root ::= "a"{3,2}', 'a repetition ends before it begins'),
        ('root ::= "a"{2001}', 'more than 2000 repetitions'),
        ('root ::= ("a"{1000}){1000}{1000}', 'more than 200000 symbols'),
        ('root ::= root "a" | "b"', '`root` may begin with itself'),
        ('root ::= a\na ::= b? a "x" | "y"\nb ::= "q"', '`a` may begin with itself'),
        ('root ::= ("a"?)*', '`root` may begin with itself, or repeats what may be empty'),
        ('root ::= "(" a+\na ::= b b\nb ::= "" | "q"', 'repeats what may be empty'),
    ],
)  # fmt: skip
def test_refuses_what_the_other_engines_refuse(grammar: str, words: str) -> None:
    with pytest.raises(EngineError, match=re.escape(words)) as caught:
        lark_of(grammar)
    assert caught.value.code == 'PREFIXD_E_ENGINE_GRAMMAR'


def test_a_grammar_that_can_be_read_in_too_many_ways_is_an_error_and_no_crash(
    vocabulary: GrammarVocabulary,
) -> None:
    """Each rule is one more way to read the first character, and one more call of the matcher."""
    names = [f'r{a}{b}{c}{d}' for a, b, c, d in itertools.product('abcdefghi', repeat=4)]
    chain = [f'{one} ::= {two} | "x"' for one, two in itertools.pairwise(names)]
    grammar = '\n'.join([f'root ::= {names[0]} "!"', *chain, f'{names[-1]} ::= "y"'])
    raised: list[EngineError] = []

    def follow() -> None:
        try:
            held = HeldTokens(grammar, vocabulary)
            held.accept(ord('x'))
        except EngineError as error:
            raised.append(error)

    start_deep_thread(follow).join()
    assert [error.code for error in raised] == ['PREFIXD_E_ENGINE_GRAMMAR']
    assert 'too many ways' in raised[0].message

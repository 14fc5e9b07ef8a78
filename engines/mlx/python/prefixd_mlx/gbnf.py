"""Reads llama.cpp's GBNF: rules of alternatives, groups, classes, literals, `.` and repetitions,
with `#` comments. What it accepts and refuses is what engines/gbnf.ts does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NoReturn

from prefixd_mlx.char_sets import LAST_CODE_POINT, complement, merge
from prefixd_mlx.errors import EngineError
from prefixd_mlx.limits import (
    GRAMMAR_CHARS_MAX,
    GRAMMAR_NESTING_MAX,
    GRAMMAR_REPETITIONS_MAX,
    GRAMMAR_SYMBOLS_MAX,
)

_ESCAPES = {'n': '\n', 'r': '\r', 't': '\t', '\\': '\\', '"': '"', '[': '[', ']': ']'}
_HEX_DIGITS = {'x': 2, 'u': 4, 'U': 8}
_SPACE_IN_LINE = re.compile(r'(?:[ \t]|#[^\n]*)*')
_SPACE = re.compile(r'(?:[ \t\r\n]|#[^\n]*)*')
_NAME = re.compile(r'[a-zA-Z0-9-]*')
_NUMBER = re.compile(r'[0-9]{1,9}')
_HEX = re.compile(r'[0-9a-fA-F]+\Z')


@dataclass(frozen=True)
class Chars:
    """One character of these ranges, both ends included."""

    ranges: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Reference:
    name: str


@dataclass(frozen=True)
class Group:
    alternatives: tuple[tuple[Node, ...], ...]


@dataclass(frozen=True)
class Repeat:
    body: tuple[Node, ...]
    at_least: int
    at_most: int | None


Node = Chars | Reference | Group | Repeat
Grammar = dict[str, Group]


def grammar_error(message: str) -> EngineError:
    return EngineError('PREFIXD_E_ENGINE_GRAMMAR', message)


def parse_gbnf(text: str) -> tuple[Grammar, dict[str, int]]:
    """The rules by name, and where each of them stands; raises PREFIXD_E_ENGINE_GRAMMAR."""
    if len(text) > GRAMMAR_CHARS_MAX:
        raise grammar_error(
            f'Line 1, column 1 of the grammar: it has {len(text)} characters; '
            f'{GRAMMAR_CHARS_MAX} are allowed.'
        )
    return _Parser(text).grammar()


def place_of(text: str, offset: int) -> str:
    before = text[:offset].split('\n')
    return f'Line {len(before)}, column {len(before[-1]) + 1} of the grammar'


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._symbols = 0
        self._referred: dict[str, int] = {}

    def grammar(self) -> tuple[Grammar, dict[str, int]]:
        rules: Grammar = {}
        places: dict[str, int] = {}
        self._skip(_SPACE)
        while self._at < len(self._text):
            self._rule(rules, places)
        for name, offset in self._referred.items():
            if name not in rules:
                self._fail(f'the rule `{name}` is not defined.', offset)
        if 'root' not in rules:
            self._fail('there is no rule `root`.', 0)
        return rules, places

    def _rule(self, rules: Grammar, places: dict[str, int]) -> None:
        offset = self._at
        name = self._match(_NAME)
        if name == '':
            self._fail('the name of a rule must come here.')
        self._skip_in_line()
        if not self._take('::='):
            self._fail('`::=` must come here.')
        self._skip(_SPACE)
        if name in rules:
            self._fail(f'the rule `{name}` is defined twice.', offset)
        places[name] = offset
        rules[name] = self._alternatives(0)
        if self._at < len(self._text) and not self._take('\n'):
            self._fail('the end of the line must come here.')
        self._skip(_SPACE)

    def _alternatives(self, nesting: int) -> Group:
        if nesting > GRAMMAR_NESTING_MAX:
            self._fail(f'groups are nested deeper than {GRAMMAR_NESTING_MAX}.')
        alternatives = [self._sequence(nesting)]
        while self._take('|'):
            self._skip(_SPACE)
            alternatives.append(self._sequence(nesting))
        return Group(tuple(alternatives))

    def _sequence(self, nesting: int) -> tuple[Node, ...]:
        nodes: list[Node] = []
        while (one := self._symbol(nesting)) is not None:
            self._skip_between(nesting)
            nodes.extend(self._repeated(one, len(one), nesting))
        return tuple(nodes)

    def _symbol(self, nesting: int) -> tuple[Node, ...] | None:
        """None where none begins. A literal of many characters is repeated as a whole."""
        offset = self._at
        if self._take('"'):
            return self._literal()
        if self._take('['):
            self._count(1)
            return (self._char_class(),)
        if self._take('.'):
            self._count(1)
            return (Chars(((0, LAST_CODE_POINT),)),)
        if self._take('('):
            self._skip(_SPACE)
            group = self._alternatives(nesting + 1)
            if not self._take(')'):
                self._fail('a group is not closed; `)` must come here.')
            self._count(1)
            return (group,)
        name = self._match(_NAME)
        if name == '':
            return None
        self._referred.setdefault(name, offset)
        self._count(1)
        return (Reference(name),)

    def _literal(self) -> tuple[Node, ...]:
        chars: list[Node] = []
        while not self._take('"'):
            char = self._char('a text in quotes')
            chars.append(Chars(((char, char),)))
        self._count(len(chars))
        return tuple(chars)

    def _char_class(self) -> Chars:
        negated = self._take('^')
        ranges: list[tuple[int, int]] = []
        while not self._take(']'):
            first = self._char('a class in brackets')
            is_range = self._peek() == '-' and self._peek(1) != ']'
            if is_range:
                self._take('-')
            last = self._char('a class in brackets') if is_range else first
            if last < first:
                self._fail('a range of a class ends before it begins.')
            ranges.append((first, last))
        if not ranges:
            self._fail('a class has no characters.')
        merged = merge(ranges)
        return Chars(tuple(complement(merged) if negated else merged))

    def _repeated(self, one: tuple[Node, ...], length: int, nesting: int) -> tuple[Node, ...]:
        """`length` is what the symbols are when all repetitions are written out."""
        count = self._repetition()
        if count is None:
            return one
        self._skip_between(nesting)
        at_least, at_most = count
        optional = 0 if at_most is None else at_most - at_least
        self._count(at_least * length + optional * (length + 1))
        if at_most is None:
            self._count(length + 1)
        tail = 1 if at_most is None or optional > 0 else 0
        node = Repeat(one, at_least, at_most)
        return self._repeated((node,), at_least * length + tail, nesting)

    def _repetition(self) -> tuple[int, int | None] | None:
        for sign, count in (('*', (0, None)), ('+', (1, None)), ('?', (0, 1))):
            if self._take(sign):
                return count
        if not self._take('{'):
            return None
        self._skip_in_line()
        at_least = self._number()
        self._skip_in_line()
        if self._take('}'):
            return at_least, at_least
        if not self._take(','):
            self._fail('`,` or `}` must come here.')
        self._skip_in_line()
        at_most = None if self._peek() == '}' else self._number()
        self._skip_in_line()
        if not self._take('}'):
            self._fail('`}` must come here.')
        if at_most is not None and at_most < at_least:
            self._fail('a repetition ends before it begins.')
        return at_least, at_most

    def _number(self) -> int:
        digits = self._match(_NUMBER)
        if digits == '':
            self._fail('a number must come here.')
        if int(digits) > GRAMMAR_REPETITIONS_MAX:
            self._fail(f'more than {GRAMMAR_REPETITIONS_MAX} repetitions.')
        return int(digits)

    def _char(self, within: str) -> int:
        """One character of a literal or a class, escapes read."""
        char = self._peek()
        if char == '':
            self._fail(f'{within} is not closed.')
        if char != '\\':
            self._at += 1
            return ord(char)
        kind = self._peek(1)
        digits = _HEX_DIGITS.get(kind, 0)
        written = self._text[self._at + 2 : self._at + 2 + digits]
        if digits > 0:
            is_whole = len(written) == digits and _HEX.match(written) is not None
            value = int(written, 16) if is_whole else LAST_CODE_POINT + 1
        else:
            value = ord(_ESCAPES[kind]) if kind in _ESCAPES else LAST_CODE_POINT + 1
        if value > LAST_CODE_POINT:
            self._fail(
                'this escape is unknown; \\n, \\r, \\t, \\\\, \\", \\[, \\], \\x, \\u and \\U are '
                'known.'
            )
        self._at += 2 + digits
        return value

    def _count(self, symbols: int) -> None:
        self._symbols += symbols
        if self._symbols > GRAMMAR_SYMBOLS_MAX:
            self._fail(
                f'it has more than {GRAMMAR_SYMBOLS_MAX} symbols when its repetitions are '
                'written out.'
            )

    def _skip_between(self, nesting: int) -> None:
        if nesting > 0:
            self._skip(_SPACE)
        else:
            self._skip_in_line()

    def _skip_in_line(self) -> None:
        self._skip(_SPACE_IN_LINE)
        if self._text.startswith('\r\n', self._at):
            self._at += 1

    def _skip(self, pattern: re.Pattern[str]) -> None:
        self._match(pattern)

    def _match(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self._text, self._at)
        word = '' if found is None else found.group()
        self._at += len(word)
        return word

    def _peek(self, ahead: int = 0) -> str:
        return self._text[self._at + ahead : self._at + ahead + 1]

    def _take(self, word: str) -> bool:
        found = self._text.startswith(word, self._at)
        if found:
            self._at += len(word)
        return found

    def _fail(self, message: str, offset: int | None = None) -> NoReturn:
        at = self._at if offset is None else offset
        raise grammar_error(f'{place_of(self._text, at)}: {message}')

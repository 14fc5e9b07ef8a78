"""What a grammar's rules may not do, and how they are written for llguidance."""

from __future__ import annotations

from collections.abc import Iterator

from prefixd_mlx.gbnf import (
    Chars,
    Grammar,
    Group,
    Node,
    Reference,
    Repeat,
    grammar_error,
    parse_gbnf,
    place_of,
)

_SURROGATES = (0xD800, 0xDFFF)


def lark_of(text: str) -> str:
    """The grammar as llguidance reads it. Raises PREFIXD_E_ENGINE_GRAMMAR.

    Each character is a terminal of its own: llguidance's lexer takes the longest terminal that
    fits, and would lose readings where a text and a class overlap.
    """
    rules, places = parse_gbnf(text)
    looping = _rule_that_begins_with_itself(rules)
    if looping is not None:
        raise grammar_error(
            f'{place_of(text, places[looping])}: `{looping}` may begin with itself, or repeats '
            'what may be empty.'
        )
    return _Writer(rules).lark()


def _rule_that_begins_with_itself(rules: Grammar) -> str | None:
    empty = _empty_rules(rules)
    begins = {name: list(_leftmost(body, empty)) for name, body in rules.items()}
    for name, body in rules.items():
        if _repeats_nothing(body, empty):
            return name
    done: set[str] = set()
    for start in rules:
        # Depth first, with a trail of its own: grammars of many rules nest deeper than our stack.
        trail = [(start, iter(begins[start]))] if start not in done else []
        on_trail = {start}
        while trail:
            name, following = trail[-1]
            child = next(following, None)
            if child is None:
                done.add(name)
                on_trail.discard(name)
                trail.pop()
            elif child in on_trail:
                return child
            elif child not in done:
                trail.append((child, iter(begins[child])))
                on_trail.add(child)
    return None


def _empty_rules(rules: Grammar) -> set[str]:
    """Rules that match the empty text: those whose users may have become empty are looked at."""
    users: dict[str, set[str]] = {}
    for name, body in rules.items():
        for reference in _references(body):
            users.setdefault(reference, set()).add(name)
    empty: set[str] = set()
    pending = list(rules)
    while pending:
        name = pending.pop()
        if name not in empty and _may_be_empty(rules[name], empty):
            empty.add(name)
            pending.extend(users.get(name, ()))
    return empty


def _references(node: Node) -> Iterator[str]:
    if isinstance(node, Reference):
        yield node.name
    elif isinstance(node, Group):
        for sequence in node.alternatives:
            for each in sequence:
                yield from _references(each)
    elif isinstance(node, Repeat):
        for each in node.body:
            yield from _references(each)


def _may_be_empty(node: Node, empty: set[str]) -> bool:
    if isinstance(node, Chars):
        return False
    if isinstance(node, Reference):
        return node.name in empty
    if isinstance(node, Repeat):
        return node.at_least == 0 or all(_may_be_empty(each, empty) for each in node.body)
    return any(all(_may_be_empty(each, empty) for each in seq) for seq in node.alternatives)


def _leftmost(node: Node, empty: set[str]) -> Iterator[str]:
    """Rules that may stand at the very beginning."""
    if isinstance(node, Reference):
        yield node.name
    elif isinstance(node, Group):
        for sequence in node.alternatives:
            yield from _leftmost_of(sequence, empty)
    elif isinstance(node, Repeat) and node.at_most != 0:
        yield from _leftmost_of(node.body, empty)


def _leftmost_of(sequence: tuple[Node, ...], empty: set[str]) -> Iterator[str]:
    for node in sequence:
        yield from _leftmost(node, empty)
        if not _may_be_empty(node, empty):
            return


def _repeats_nothing(node: Node, empty: set[str]) -> bool:
    if isinstance(node, Group):
        return any(_repeats_nothing(each, empty) for seq in node.alternatives for each in seq)
    if not isinstance(node, Repeat):
        return False
    if node.at_most is None and all(_may_be_empty(each, empty) for each in node.body):
        return True
    return any(_repeats_nothing(each, empty) for each in node.body)


class _Writer:
    def __init__(self, rules: Grammar) -> None:
        self._rules = rules
        self._names = {name: f'r{index}' for index, name in enumerate(rules)}

    def lark(self) -> str:
        lines = [f'start: {self._name("root")}']
        for name, body in self._rules.items():
            # One that only stands for another one would cost its matcher a step each time.
            if self._stands_for(name) is None:
                lines.append(f'{self._names[name]}: {self._alternatives(body)}')
        return '\n'.join(lines) + '\n'

    def _stands_for(self, name: str) -> str | None:
        body = self._rules[name]
        only = body.alternatives[0] if len(body.alternatives) == 1 else ()
        return only[0].name if len(only) == 1 and isinstance(only[0], Reference) else None

    def _name(self, name: str) -> str:
        # No rule begins with itself, so this ends.
        while (other := self._stands_for(name)) is not None:
            name = other
        return self._names[name]

    def _alternatives(self, body: Group) -> str:
        return ' | '.join(self._sequence(sequence) for sequence in body.alternatives)

    def _sequence(self, sequence: tuple[Node, ...]) -> str:
        return ' '.join(self._node(node) for node in sequence) or '""'

    def _node(self, node: Node) -> str:
        if isinstance(node, Chars):
            return _terminal(node)
        if isinstance(node, Reference):
            return self._name(node.name)
        if isinstance(node, Group):
            return f'({self._alternatives(node)})'
        return f'({self._sequence(node.body)}){_times(node)}'


def _times(node: Repeat) -> str:
    at_most = '' if node.at_most is None else str(node.at_most)
    signs = {(0, ''): '*', (1, ''): '+', (0, '1'): '?'}
    return signs.get((node.at_least, at_most), f'{{{node.at_least},{at_most}}}')


def _terminal(chars: Chars) -> str:
    ranges = ''.join(
        f'\\x{{{first:x}}}' if first == last else f'\\x{{{first:x}}}-\\x{{{last:x}}}'
        for first, last in _without_surrogates(chars)
    )
    if ranges == '':
        raise grammar_error('A class of the grammar has halves of character pairs only.')
    return f'/[{ranges}]/'


def _without_surrogates(chars: Chars) -> Iterator[tuple[int, int]]:
    """No text has halves of pairs, and llguidance refuses them as ends of a range."""
    low, high = _SURROGATES
    for first, last in chars.ranges:
        if first < low:
            yield first, min(last, low - 1)
        if last > high:
            yield max(first, high + 1), last

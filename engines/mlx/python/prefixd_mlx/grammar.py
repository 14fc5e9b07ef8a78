"""Which tokens a grammar allows where an answer stands, by llguidance."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from llguidance import LLMatcher, LLParserLimits, LLTokenizer
from numpy.typing import NDArray

from prefixd_mlx.gbnf import grammar_error
from prefixd_mlx.gbnf_rules import lark_of
from prefixd_mlx.limits import GRAMMAR_LEXER_FUEL_MAX, GRAMMAR_ROW_ITEMS_MAX, GRAMMAR_STEP_ITEMS_MAX


class GrammarVocabulary:
    """The texts of a model's tokens as llguidance wants them; costs a second for a large one."""

    def __init__(
        self, pieces: Sequence[bytes], ends: Sequence[int], tokenize: Callable[[str], list[int]]
    ) -> None:
        """`tokenize`: where only one text can come next, its usual tokens are preferred."""
        self.size = len(pieces)
        self.ends = list(ends)
        texts = _Pieces(pieces, self.ends, tokenize)
        self.tokenizer = LLTokenizer(texts, n_vocab=self.size, slices=[])


class _Pieces:
    """The attributes that `LLTokenizer` reads. A grammar names texts, so that a token that is
    special to the model is its text here too: `<tool_call>` may be one token or several.
    """

    def __init__(
        self, pieces: Sequence[bytes], ends: Sequence[int], tokenize: Callable[[str], list[int]]
    ) -> None:
        # No grammar allows this text. Tokens without text have it, and those that end an answer:
        # they are asked for by their ids.
        self.tokens = [piece or b'\xff[%d]' % token for token, piece in enumerate(pieces)]
        for end in ends:
            self.tokens[end] = b'\xff[%d]' % end
        self.special_token_ids = list(ends)
        self.eos_token_id = ends[0] if ends else len(pieces) - 1
        self.bos_token_id = None
        self.is_tokenizer_wrapper = True
        self._tokenize = tokenize

    def __call__(self, text: str) -> list[int]:
        return self._tokenize(text)


class HeldTokens:
    """Where one answer stands in its grammar. Raises PREFIXD_E_ENGINE_GRAMMAR."""

    def __init__(self, grammar: str, vocabulary: GrammarVocabulary) -> None:
        self._vocabulary = vocabulary
        self._matcher = LLMatcher(
            vocabulary.tokenizer,
            lark_of(grammar),
            log_level=0,
            limits=LLParserLimits(
                max_items_in_row=GRAMMAR_ROW_ITEMS_MAX,
                step_max_items=GRAMMAR_STEP_ITEMS_MAX,
                initial_lexer_fuel=GRAMMAR_LEXER_FUEL_MAX,
                step_lexer_fuel=GRAMMAR_LEXER_FUEL_MAX,
                verbose_errors=False,
            ),
        )
        self._check()

    def allows(self, token: int) -> bool:
        """Microseconds, where the whole set takes milliseconds."""
        if token in self._vocabulary.ends:
            return self._may_end()
        return not self._matcher.is_stopped() and self._matcher.validate_tokens([token]) == 1

    def allowed(self) -> NDArray[np.bool_]:
        """One flag a token; ends among them where the text may end."""
        flags = np.zeros(self._vocabulary.size, dtype=np.bool_)
        if not self._matcher.is_stopped():
            bits = np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8)
            flags[:] = np.unpackbits(bits, count=flags.size, bitorder='little').astype(np.bool_)
        self._check()
        flags[self._vocabulary.ends] = self._may_end()
        return flags

    def accept(self, token: int) -> None:
        """Goes on behind a token that is allowed."""
        if token in self._vocabulary.ends:
            return
        if not self._matcher.consume_token(token):
            self._check()
            raise grammar_error(
                f'Token {token} was taken, and the grammar does not allow it. Please report this '
                'defect.'
            )

    def _may_end(self) -> bool:
        accepting: bool = self._matcher.is_accepting()
        return accepting

    def _check(self) -> None:
        if self._matcher.is_error():
            reason = self._matcher.get_error().splitlines()[0][:200]
            raise grammar_error(
                'The grammar cannot be followed where the answer stands: no token of this model '
                'goes on there, or it may be read in too many ways at once. Allow other '
                f'characters, or make it simpler. ({reason})'
            )

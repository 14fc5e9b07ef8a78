"""Why a file cannot be converted, in words that end up before the person who asked."""

from __future__ import annotations


class ConvertError(Exception):
    """`code` is one of docs/errors.md; `next_step` says what to try instead."""

    def __init__(self, code: str, message: str, next_step: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.next_step = next_step


def broken_file(what: str) -> ConvertError:
    return ConvertError(
        'PREFIXD_E_MODEL_FILE',
        f'The GGUF file {what}.',
        'Pull or download it again, or choose another: `prefixd models ls`.',
    )


def not_convertible(what: str, next_step: str) -> ConvertError:
    return ConvertError('PREFIXD_E_MODEL_CONVERT', what, next_step)


ANOTHER_FILE = (
    'Serve the file itself with --engine llamacpp, or take a repository of the hub that has this '
    'model for MLX: `prefixd models pull hf:owner/repo`.'
)

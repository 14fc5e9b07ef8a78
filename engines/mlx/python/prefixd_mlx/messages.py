"""Messages of the service, read field by field: docs/engine-protocol.md has them in words.

Every field is always there. An unknown message, a missing field or one of another type ends the
worker: what follows could not be trusted either.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, cast

from prefixd_mlx import field_readers as read
from prefixd_mlx.errors import protocol_error

if TYPE_CHECKING:
    from prefixd_mlx.caches import Kind

Reuse = Literal['token', 'block']
Tokens = list[int]


@dataclass(frozen=True)
class Hello:
    protocol: int
    options: dict[str, Any]
    arena_bytes: int | None


@dataclass(frozen=True)
class Render:
    id: int
    input: dict[str, Any]


@dataclass(frozen=True)
class Tokenize:
    id: int
    text: str
    add_special: bool
    parse_special: bool


@dataclass(frozen=True)
class Detokenize:
    id: int
    tokens: Tokens


@dataclass(frozen=True)
class Pieces:
    id: int
    tokens: Tokens


@dataclass(frozen=True)
class Embed:
    id: int
    tokens: Tokens


@dataclass(frozen=True)
class Open:
    id: int
    sequence: int


@dataclass(frozen=True)
class RestoreRecord:
    kind: Kind
    start: int
    stop: int
    keep_to: int
    offset: int
    size_bytes: int
    generation: int
    crc32s: list[int]
    verified: bool


@dataclass(frozen=True)
class Restore:
    id: int
    sequence: int
    # They will stand there when the last `restore` has come.
    expected_tokens: int
    records: list[RestoreRecord]


@dataclass(frozen=True)
class Sampling:
    temperature: float
    top_p: float
    top_k: int
    min_p: float
    repeat_penalty: float
    frequency_penalty: float
    presence_penalty: float
    seed: int


@dataclass(frozen=True)
class TokenBias:
    token: int
    bias: float


@dataclass(frozen=True)
class Generate:
    id: int
    sequence: int
    tokens: Tokens
    compute_from: int
    restored_on_grid: bool
    boundaries: list[int]
    max_tokens: int
    sampling: Sampling
    grammar: str | None
    logit_bias: list[TokenBias]
    top_logprobs: int | None
    save: bool
    ignore_end: bool
    logits: bool


@dataclass(frozen=True)
class RecordBytes:
    offset: int
    size_bytes: int
    generation: int


@dataclass(frozen=True)
class Reserved:
    id: int
    reservation: int
    bytes: RecordBytes | None


@dataclass(frozen=True)
class Cancel:
    id: int


@dataclass(frozen=True)
class Trim:
    id: int
    sequence: int
    token_count: int


@dataclass(frozen=True)
class Close:
    id: int
    sequence: int


@dataclass(frozen=True)
class Shutdown:
    pass


# Answered without the model, beside whatever it computes.
TextCall = Render | Tokenize | Detokenize | Pieces
ComputeCall = Embed | Open | Restore | Generate | Trim | Close
Message = Hello | TextCall | ComputeCall | Reserved | Cancel | Shutdown


_uints = read.array(read.uint, 'an array of integers ≥ 0')
_RECORD_BYTES: dict[str, read.Field] = {
    'offset': read.uint,
    'sizeBytes': read.uint,
    'generation': read.uint,
}
_RESTORE_RECORD: dict[str, read.Field] = {
    'kind': read.record_kind,
    'from': read.uint,
    'to': read.uint,
    'keepTo': read.uint,
    **_RECORD_BYTES,
    'crc32s': _uints,
    'verified': read.flag,
}
_SAMPLING: dict[str, read.Field] = {
    'temperature': read.real,
    'topP': read.real,
    'topK': read.whole,
    'minP': read.real,
    'repeatPenalty': read.real,
    'frequencyPenalty': read.real,
    'presencePenalty': read.real,
    'seed': read.whole,
}
_SEQUENCE: dict[str, read.Field] = {'id': read.uint, 'sequence': read.uint}

_TABLE: dict[str, tuple[type, dict[str, read.Field]]] = {
    'hello': (
        Hello,
        {'protocol': read.uint, 'options': read.any_map, 'arenaBytes': read.nullable(read.uint)},
    ),
    'render': (Render, {'id': read.uint, 'input': read.any_map}),
    'tokenize': (
        Tokenize,
        {'id': read.uint, 'text': read.text, 'addSpecial': read.flag, 'parseSpecial': read.flag},
    ),
    'detokenize': (Detokenize, {'id': read.uint, 'tokens': read.token_ids}),
    'pieces': (Pieces, {'id': read.uint, 'tokens': read.token_ids}),
    'embed': (Embed, {'id': read.uint, 'tokens': read.token_ids}),
    'open': (Open, _SEQUENCE),
    'restore': (
        Restore,
        {
            **_SEQUENCE,
            'expectedTokens': read.uint,
            'records': read.array(
                read.record(RestoreRecord, _RESTORE_RECORD), 'an array of records'
            ),
        },
    ),
    'generate': (
        Generate,
        {
            **_SEQUENCE,
            'tokens': read.token_ids,
            'computeFrom': read.uint,
            'restoredOnGrid': read.flag,
            'boundaries': _uints,
            'maxTokens': read.uint,
            'sampling': read.record(Sampling, _SAMPLING),
            'grammar': read.nullable(read.text),
            'logitBias': read.array(
                read.record(TokenBias, {'token': read.uint, 'bias': read.real}),
                'an array of biases',
            ),
            'topLogprobs': read.nullable(read.uint),
            'save': read.flag,
            'ignoreEnd': read.flag,
            'logits': read.flag,
        },
    ),
    'reserved': (
        Reserved,
        {
            'id': read.uint,
            'reservation': read.uint,
            'bytes': read.nullable(read.record(RecordBytes, _RECORD_BYTES)),
        },
    ),
    'cancel': (Cancel, {'id': read.uint}),
    'trim': (Trim, {**_SEQUENCE, 'tokenCount': read.uint}),
    'close': (Close, _SEQUENCE),
    'shutdown': (Shutdown, {}),
}


def read_message(header: Mapping[str, object]) -> Message:
    """Raises PREFIXD_E_ENGINE_PROTOCOL naming the field that is wrong."""
    name = str(header['type'])
    if name not in _TABLE:
        raise protocol_error(f'unknown message `{name[:40]}`')
    kind, table = _TABLE[name]
    values = []
    for field_name, field in table.items():
        if field_name not in header:
            raise protocol_error(f'`{field_name}` of `{name}` is missing')
        try:
            values.append(field(header[field_name]))
        except read.WrongField as wrong:
            raise protocol_error(f'`{field_name}` of `{name}` must be {wrong}') from wrong
    return cast(Message, kind(*values))


def field_names() -> dict[str, list[str]]:
    """Names of all messages and fields as they travel, for a test that compares both sides."""
    for kind, table in _TABLE.values():
        assert len(fields(kind)) == len(table)
    return {name: list(table) for name, (_, table) in _TABLE.items()}

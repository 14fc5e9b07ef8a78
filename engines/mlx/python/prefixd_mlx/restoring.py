"""Puts stored records back into a sequence, and trusts no bytes that nobody has checked."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import accumulate

from prefixd_mlx.arena import Arena, first_damaged_mib
from prefixd_mlx.caches import ImportRefused, SequenceCache
from prefixd_mlx.errors import EngineError, RestoreError, protocol_error
from prefixd_mlx.messages import RestoreRecord

BytesOf = Callable[[int], memoryview]


def bytes_of(records: Sequence[RestoreRecord], arena: Arena | None, payload: memoryview) -> BytesOf:
    """Where the bytes of each record are. Carried, they are the payload, one after the other."""
    if arena is not None:
        return lambda index: arena.view(records[index].offset, records[index].size_bytes)
    ends = list(accumulate(record.size_bytes for record in records))
    size_bytes = ends[-1] if ends else 0
    if size_bytes != len(payload):
        raise protocol_error(
            f'`restore` carries {len(payload)} bytes for {size_bytes} bytes of records'
        )
    return lambda index: payload[ends[index] - records[index].size_bytes : ends[index]]


def restore_records(
    sequence: SequenceCache, records: Sequence[RestoreRecord], data_of: BytesOf, carried: bool
) -> float:
    """Verifies and imports `records` in order; the milliseconds that it took. Whatever fails, the
    sequence is empty afterwards, and a RestoreError names the record and whether it is damaged.
    """
    started = time.perf_counter()
    for index, record in enumerate(records):
        try:
            _import_verified(sequence, record, index, data_of(index), carried)
        except Exception as error:
            sequence.clear()
            raise _as_restore_error(error, index) from error
    return (time.perf_counter() - started) * 1000


def _import_verified(
    sequence: SequenceCache, record: RestoreRecord, index: int, data: memoryview, carried: bool
) -> None:
    place = f'Record {index} (tokens {record.start} to {record.stop}'
    if not _follows(record, sequence.token_count):
        raise RestoreError(
            f'{place}, {record.size_bytes} bytes) does not follow the {sequence.token_count} '
            'tokens of the sequence.',
            index,
            corrupt=False,
        )
    # What the service has verified says nothing of the bytes that come out of a socket.
    verified = record.verified and not carried
    damaged = None if verified else first_damaged_mib(data, record.crc32s)
    if damaged is not None:
        raise RestoreError(
            f'{place}) fails its checksum in MiB {damaged}; it must be quarantined and its tokens '
            'prefilled.',
            index,
            corrupt=True,
        )
    sequence.import_record(record.kind, record.start, record.stop, record.keep_to, data)
    if sequence.token_count != record.keep_to:
        raise RestoreError(
            f'The engine counts {sequence.token_count} tokens after record {index}, not '
            f'{record.keep_to}; its tokens must be prefilled.',
            index,
            corrupt=False,
        )


def _follows(record: RestoreRecord, standing_tokens: int) -> bool:
    """`kv` appends; what is exact at one position only belongs where the sequence ends, uncut."""
    if record.kind == 'kv':
        return record.start == standing_tokens and record.start < record.keep_to <= record.stop
    return record.start < record.stop == record.keep_to == standing_tokens


def _as_restore_error(error: Exception, index: int) -> RestoreError:
    if isinstance(error, RestoreError):
        return error
    code = f'{error.code}: ' if isinstance(error, EngineError) else ''
    reason = error.reason if isinstance(error, ImportRefused) else str(error)
    return RestoreError(f'The engine refused record {index}: {code}{reason}.', index, corrupt=False)

"""Errors that travel to the service, each with a code that docs/errors.md lists."""

from __future__ import annotations

from typing import Any


class EngineError(Exception):
    """An error of the engine; `code` is one of `PREFIXD_E_ENGINE_…`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class RestoreError(EngineError):
    """A record that could not be restored; the sequence is empty."""

    def __init__(self, message: str, record_index: int, corrupt: bool) -> None:
        super().__init__('PREFIXD_E_ENGINE_RESTORE', message)
        self.record_index = record_index
        self.corrupt = corrupt


def protocol_error(what: str) -> EngineError:
    """The wire carries what the protocol does not allow: its sender cannot be trusted any more."""
    return EngineError(
        'PREFIXD_E_ENGINE_PROTOCOL',
        f'Engine protocol 1: {what}. Use a worker of the same prefixd version as the service.',
    )


def compute_error(message: str) -> EngineError:
    return EngineError('PREFIXD_E_ENGINE_COMPUTE', message)


def model_error(message: str) -> EngineError:
    return EngineError('PREFIXD_E_ENGINE_MODEL', message)


def error_message(id: int, error: Exception, fallback: str) -> dict[str, Any]:
    """What the service hears of a call that failed; `fallback` is the code of any other error."""
    restoring = error if isinstance(error, RestoreError) else None
    return {
        'type': 'error',
        'id': id,
        'code': error.code if isinstance(error, EngineError) else fallback,
        'message': str(error) or type(error).__name__,
        'recordIndex': None if restoring is None else restoring.record_index,
        'corrupt': restoring is not None and restoring.corrupt,
    }

"""What goes wrong between records and caches."""


class ImportRefused(Exception):
    """A record does not fit where it was to be restored; nothing has been changed."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class CacheFault(Exception):
    """The live caches are not what the layout says, so nothing of them may be stored."""


class UnknownCache(Exception):
    """A model keeps something that prefixd does not store; the text says what."""

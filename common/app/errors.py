"""The suite's errors: each text says what was found, what was expected, where, and what to do."""


class TrifoldError(Exception):
    """Base of every error that the suite raises on purpose; the command line prints it without a traceback."""


class ConfigError(TrifoldError):
    """A configuration key or value is wrong."""


class DataFormatError(TrifoldError):
    """An input file or object does not hold what its format promises."""


class DownloadError(TrifoldError):
    """A data set could not be fetched, or what arrived is not what was registered."""


class CheckpointError(TrifoldError):
    """A checkpoint, cache or model folder is damaged, incomplete or of another kind."""


class NumericalError(TrifoldError):
    """A loss, gradient or prediction is not finite."""


class StorageError(TrifoldError, OSError):
    """A folder cannot be written: the disk is full, or writing is not allowed."""

"""Recognise that memory ran out, whichever library says so, so that no intact file is called damaged."""

import errno
import re
from collections.abc import Iterator

# Libraries that have no class of their own for it say it in these words. Others of theirs are about room in a file
# ("can't allocate file space") or about what they do not support ("could not create a primitive descriptor").
_WORDS = re.compile(
    r"out of memory|not enough memory|insufficient memory|(can't|cannot|unable to|failed to) allocate memory|bad_alloc"
    r"|_STATUS_ALLOC_FAILED"  # cuBLAS, cuDNN, cuSOLVER
    r"|could not create a (primitive$|memory object)"  # oneDNN
    r"|memory allocation failed|H5MM_|deflate memory error|decoding buffer allocation failed"  # HDF5
    r"|(can't|cannot|couldn't|failed to) allocate (\w+ )?(buffer|iterator)"
    r"|can't start new thread|failed to launch worker thread"  # each wants a stack
    r"|failed to map segment from shared object"  # a library that is loaded
    r"|malloc of size \d+ failed"  # Arrow
    r"|error return without exception set|without setting an exception",  # C code that could not make its exception
    re.IGNORECASE | re.MULTILINE,
)
# The text of other errors may quote what a user wrote.
_TOLD = (RuntimeError, OSError, LookupError, ImportError, SystemError)
_LIBRARIES = ("pandas", "pyarrow", "safetensors", "zlib")


class MemoryRanOutError(ValueError):
    """Memory ran out; the message is the whole sentence for the user."""


def ran_out(error: BaseException) -> bool:
    """Return whether an error, or one that it came from, says that memory ran out: the machine's or a GPU's.

    The number of threads that the machine allows counts as well: a thread that cannot start mostly lacks memory.
    """
    return any(_says_so(one) for one in _chain(error))


def reraise_memory(error: BaseException, doing: str) -> None:
    """Raise a MemoryError in place of an error that says that memory ran out; do nothing about any other.

    Parameters
    ----------
    error : BaseException
        What was caught, and would be taken for damage.
    doing : str
        What was being done: "reading FILE".

    Raises
    ------
    MemoryError
        Memory ran out.
    """
    if ran_out(error):
        raise MemoryError(f"{doing}: {reason(error)}") from error


def says_memory(text: str) -> bool:
    """Return whether the last line of a traceback, of another process, says that memory ran out."""
    return "MemoryError" in text.partition(":")[0] or _WORDS.search(text) is not None


def reason(error: BaseException) -> str:
    """Return the first line of what says that memory ran out; the name of the error if that is empty."""
    said = next((one for one in _chain(error) if _says_so(one)), error)
    return str(said).partition("\n")[0] or type(said).__name__


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _says_so(error: BaseException) -> bool:
    if isinstance(error, MemoryError | MemoryRanOutError):
        return True
    kind = type(error)
    if kind.__name__ == "OutOfMemoryError":  # torch's, which is not imported for this
        return True
    if isinstance(error, OSError) and error.errno is not None:  # its text has the name of a file
        return error.errno == errno.ENOMEM
    told = isinstance(error, _TOLD) or kind.__module__.startswith(_LIBRARIES)
    return told and _WORDS.search(str(error)) is not None

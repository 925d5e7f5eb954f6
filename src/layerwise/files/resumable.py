"""Work that a stopped job left in a file: another job resumes it if data, code and settings are the same."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import TypeVar

from layerwise.files.memory import reraise_memory
from layerwise.files.permissions import explain_denial

Content = TypeVar("Content")

log = logging.getLogger(__name__)

_UNREADABLE = (RuntimeError, OSError, ValueError, LookupError, AttributeError, EOFError, UnpicklingError)


class DamagedError(ValueError):
    """What is wrong with a file, said after its name: "is damaged (...)"."""


@dataclass(frozen=True)
class Resumable:
    """Where the work of a job is kept, and what it depends on.

    Parameters
    ----------
    path : Path
        File.
    fingerprint : str
        Of everything that the work depends on: work of another fingerprint is not resumed.
    otherwise : str
        What is done if there is nothing to resume, such as "starting from the first image".
    """

    path: Path
    fingerprint: str
    otherwise: str

    def take_up(self, read: Callable[[], tuple[str, Callable[[], Content]]]) -> Content | None:
        """Return what an earlier job left, or None; a warning says why it is not resumed.

        Parameters
        ----------
        read : callable
            Returns the fingerprint that the file names, and what reads the rest. Either may raise.

        Raises
        ------
        MemoryError
            Memory ran out, so that nothing is known of the file.
        """
        if not self.path.is_file():
            return None
        try:
            fingerprint, rest = read()
            if fingerprint == self.fingerprint:
                return rest()
            why = "is of other data, code or settings"
        except DamagedError as error:
            why = str(error)
        except PermissionError as error:
            why = f"cannot be read ({explain_denial(error)})"
        except _UNREADABLE as error:
            reraise_memory(error, f"reading {self.path}")
            why = f"is damaged ({error})"
        log.warning("%s %s: %s", self.path, why, self.otherwise)
        return None

    def remove(self) -> None:
        """Remove the file, once the result is there."""
        self.path.unlink(missing_ok=True)

"""Hashes of what files hold, kept between runs: content decides what is stale, and planning need not read it again."""

import json
import logging
import os
import stat
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from layerwise.files.atomic import atomic_path
from layerwise.files.hashing import LENGTH, hash_file, hash_object

VERSION = 2  # 1 had no checksum
SETTLED = 2 * 10**9  # ns: the coarsest clock of a file system; what is younger may change and keep its times
SAVE_EVERY = 30.0  # seconds: what a killed run has read by then is not read again
WORKERS = 16  # threads: a network file system is slow for one request, but serves many at once
LONG = 2 * 10**9  # bytes that take so long to read that a user should be told

Sign = tuple[int, int, int, int]  # size, times of change of content and of the file itself (ns), inode

_log = logging.getLogger(__name__)


class Contents:
    """The hashes of files, each read once and again only when its size, its times or its inode have changed.

    Parameters
    ----------
    store : path
        File in which the hashes are kept. It may be deleted, or damaged: then files are read anew. Processes that
        use it at once do no harm; what one has read may then be read again by another.
    """

    def __init__(self, store: str | Path) -> None:
        self._store = Path(store)
        self._kept: dict[str, tuple[Sign, str]] | None = None

    def of(self, paths: Iterable[str | Path]) -> list[str]:
        """Return the hash of the content of each file; empty where there is none that can be read."""
        here = Path.cwd()
        names = [name if name.startswith("/") else f"{here}/{name}" for name in map(str, paths)]
        signs = {name: sign for name in names if (sign := _sign(name))}
        found = {name: self._known(name, sign) for name, sign in signs.items()}
        found.update(self._read({name: signs[name] for name, known in found.items() if known is None}))
        return [found.get(name) or "" for name in names]

    def _known(self, name: str, sign: Sign) -> str | None:
        if self._kept is None:
            self._kept = _load(self._store)
        kept, content = self._kept.get(name, (None, ""))
        return content if kept == sign else None

    def _read(self, signs: dict[str, Sign]) -> Iterator[tuple[str, str]]:
        """Read files, and keep the hashes of those that nobody is writing."""
        _announce(signs.values())
        saved, new = time.monotonic(), {}
        started = time.time_ns()
        with ThreadPoolExecutor(WORKERS) as pool:
            for (name, sign), content in zip(signs.items(), pool.map(_hash, signs), strict=True):
                yield name, content
                if content and _is_settled(name, sign, started):
                    new[name] = sign, content
                if time.monotonic() - saved > SAVE_EVERY:
                    self._save(new)
                    saved = time.monotonic()
        if new:
            self._save(new)

    def _save(self, new: dict[str, tuple[Sign, str]]) -> None:
        self._kept = {**(self._kept or {}), **_load(self._store), **new}
        files = {name: [*sign, content] for name, (sign, content) in self._kept.items()}
        try:
            with atomic_path(self._store) as temporary:
                content = {"version": VERSION, "sha256": hash_object(files), "files": files}
                temporary.write_text(json.dumps(content))
        except (OSError, ValueError) as error:
            _log.warning("%s cannot be written (%s): the next run reads the input files again", self._store, error)


def _sign(name: str) -> Sign | None:
    try:
        found = os.stat(name)  # noqa: PTH116, there may be tens of thousands
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def _hash(name: str) -> str:
    try:
        return hash_file(name)[:LENGTH]
    except OSError:
        return ""


def _is_settled(name: str, sign: Sign, started: int) -> bool:
    """Return whether a file that changes after it was read must show it: see git on "racy" entries of its index."""
    return started - max(sign[1:3]) > SETTLED and _sign(name) == sign


def _announce(signs: Iterable[Sign]) -> None:
    size = sum(sign[0] for sign in signs)
    if size > LONG:
        _log.warning("reading %.1f GB of input files to hash their content: once", size / 1e9)


def _load(store: Path) -> dict[str, tuple[Sign, str]]:
    try:
        stored = json.loads(store.read_text())
        if stored["version"] != VERSION:
            return {}
        if stored["sha256"] != hash_object(stored["files"]):
            raise ValueError("its content does not fit its checksum")
        # An invalid entry matches no file, so the file is read again.
        return {
            name: ((size, changed, status, inode), str(content))
            for name, (size, changed, status, inode, content) in stored["files"].items()
        }
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        _log.warning("%s is damaged (%s): input files are read again", store, error)
        return {}

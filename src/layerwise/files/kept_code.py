"""Hashes of code, kept between runs: parsing the package takes as long as planning a small study."""

import json
import logging
import sys
from collections.abc import Collection
from pathlib import Path

from layerwise.files import code
from layerwise.files.atomic import atomic_path
from layerwise.files.contents import Contents
from layerwise.files.hashing import hash_object

_log = logging.getLogger(__name__)


class CodeHashes:
    """What `hash_source` gives, found once, and again when the content of any file of the package has changed.

    Parameters
    ----------
    store : path
        File in which hashes are kept. It may be deleted, damaged or not writable: then code is parsed anew.
    contents : Contents
        Knows the contents of the package's files that it read before.
    """

    def __init__(self, store: str | Path, contents: Contents) -> None:
        self._store, self._contents = Path(store), contents
        self._package, self._kept = "", dict[str, str]()

    def of(self, *names: str, apart: Collection[str] = ()) -> str:
        """Hash modules, or functions, and all that they use of this package; the parameters are `hash_source`'s."""
        if not self._package:
            self._package = self._hash_package()
            self._kept = _load(self._store, self._package)
        asked = hash_object([sorted(names), sorted(apart)])
        if asked not in self._kept:
            self._kept[asked] = code.hash_source(*names, apart=apart)
            self._save()
        return self._kept[asked]

    def _hash_package(self) -> str:
        """Hash all that a hash of code follows from: what the files hold, their names, and who parses them."""
        files = sorted(code.ROOT.rglob("*.py"))
        names = [str(path.relative_to(code.ROOT)) for path in files]
        return hash_object([sys.version, dict(zip(names, self._contents.of(files), strict=True))])

    def _save(self) -> None:
        if self._hash_package() != self._package:  # edited while it was parsed: nobody knows what the hashes are of
            return
        try:
            with atomic_path(self._store) as temporary:
                found = {"package": self._package, "sha256": hash_object(self._kept), "hashes": self._kept}
                temporary.write_text(json.dumps(found))
        except (OSError, ValueError) as error:
            _log.debug("%s cannot be written (%s): the next run parses the package again", self._store, error)


def _load(store: Path, package: str) -> dict[str, str]:
    """Read the hashes of this state of the package; none where another state's are kept, or nothing that is whole."""
    try:
        stored = json.loads(store.read_text())
        hashes: dict[str, str] = stored["hashes"]
        whole = isinstance(hashes, dict) and stored["sha256"] == hash_object(hashes)
        return hashes if whole and stored["package"] == package else {}
    except (OSError, ValueError, LookupError, TypeError):
        return {}

"""The software of jobs in an environment that conda makes: packages of a lock, and the code of which Snakemake plans.

So an environment is made anew when its lock changes and only then, and several users or checkouts may share it.
"""

import os
import shlex
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import layerwise
from layerwise.files import atomic_path

FOLDER = Path(".snakemake/layerwise/software")
LOCK = "LAYERWISE_LOCK"
LOCKS = ("layerwise", "v100")

# Of the environment that is active, whichever it is; `sh` reads the first lines, Python the others.
COMMAND = """\
#!/bin/sh
'''exec' "${CONDA_PREFIX:?of conda is not set: no environment is active}/bin/python" "$0" "$@"
' '''
from layerwise.cli import main
main()
"""


def lock_of_jobs(environ: Mapping[str, str] = os.environ) -> str:
    """Name the lock whose packages an environment of conda has: `LAYERWISE_LOCK`, else that for today's GPUs.

    Raises
    ------
    ValueError
        There is no such lock.
    """
    name = environ.get(LOCK) or LOCKS[0]
    if name not in LOCKS:
        raise ValueError(f"{LOCK} is {name!r}; it may be {' or '.join(LOCKS)}")
    return name


def keep_lock(name: str, path: str | Path, folder: Path = FOLDER) -> None:
    """Copy a lock to where the script looks that Snakemake runs in a new environment."""
    text = Path(path).read_bytes()
    kept = folder / f"{name}.lock"
    if not kept.is_file() or kept.read_bytes() != text:
        with atomic_path(kept) as temporary:
            temporary.write_bytes(text)


def share_code(folder: Path = FOLDER) -> str:
    """Lay out the code of layerwise for other Pythons, apart from the packages beside it.

    Returns
    -------
    str
        What a shell does first to call this code by its name, in an environment that is active.
    """
    folder = folder.absolute() / layerwise.__version__
    for target in (Path(layerwise.__file__).resolve().parent, *_metadata()):
        _link(folder / target.name, target)
    command = folder / "bin/layerwise"
    if not command.is_file() or command.read_text(encoding="utf-8") != COMMAND:
        with atomic_path(command) as temporary:
            temporary.write_text(COMMAND, encoding="utf-8")
            temporary.chmod(0o755)
    # What a user installed for all of its Pythons would go before the packages of the lock.
    told = f"PYTHONNOUSERSITE=1 PYTHONPATH={shlex.quote(str(folder))}"
    return f'export {told}; PATH={shlex.quote(str(command.parent))}:"$PATH"; '


def _metadata() -> Iterator[Path]:
    """Find the folder that tells Python the version of layerwise; none where it is not installed."""
    try:
        files = distribution("layerwise").files or []
    except PackageNotFoundError:
        return
    yield from (Path(str(file.locate())).resolve().parent for file in files if file.name == "METADATA")


def _link(link: Path, target: Path) -> None:
    if link.is_symlink() and link.readlink() == target:
        return
    link.parent.mkdir(parents=True, exist_ok=True)
    temporary = link.with_name(f".{link.name}-{os.getpid()}")  # another Snakemake may do the same
    temporary.symlink_to(target)
    temporary.replace(link)

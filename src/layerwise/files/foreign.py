"""HDF5 files of others, read by a process of its own before they are read here.

HDF5 runs without an end on some broken files, or brings the interpreter down, and no signal reaches a process while it
does. What a process of its own has read whole is read here the same way.
"""

import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from layerwise.files.memory import says_memory

SECONDS = 20  # of a processor, and one more for each megabyte; a slow disk does not count
_TRIAL = Path(__file__).with_name("trial.py")


def try_hdf5(path: str | Path, names: Sequence[str] | None = None) -> None:
    """Read an HDF5 file in another process, which may be stopped or come to its limit at any time.

    Parameters
    ----------
    path : path
        The file.
    names : sequence of str, optional
        Variables at its top that will be read; default: all there is. Attributes always are.

    Raises
    ------
    ValueError
        HDF5 comes to no end with it, or breaks down; or parts of it lie in other files, which are not read.
    MemoryError
        The other process had too little memory, or was killed, as systems do that have no more.
    """
    wanted = [] if names is None else ["--", *names]
    limit = SECONDS + Path(path).stat().st_size // 10**6
    command = [sys.executable, "-P", str(_TRIAL), str(limit), str(path), *wanted]
    # If a signal ends this process, `run` ends the other one.
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        _check_memory(done, path)
        raise ValueError(f"{path} is damaged ({_ending(done)}): copy or export it again")
    if done.stdout:
        raise ValueError(f"{path} {done.stdout.strip()}: write all of it into one file")


def _check_memory(done: "subprocess.CompletedProcess[str]", path: str | Path) -> None:
    last = (done.stderr.strip().splitlines() or [""])[-1]
    if done.returncode == -signal.SIGKILL:
        raise MemoryError(f"reading {path}: the process that tried it was killed")
    if says_memory(last):
        raise MemoryError(f"reading {path}: {last}")


def _ending(done: "subprocess.CompletedProcess[str]") -> str:
    if done.returncode == -signal.SIGXCPU:
        return "HDF5 comes to no end with it"
    if done.returncode < 0:
        return f"HDF5 breaks down with it, by {signal.Signals(-done.returncode).name}"
    return f"HDF5 cannot be tried on it: {(done.stderr.strip().splitlines() or ['no message'])[-1]}"

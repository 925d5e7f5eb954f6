"""What a job ran with: software and commit, host, GPU, and when. It stands in the job's log, not in its result.

Results that are equal are equal to the byte, whenever and wherever they were made; so that a run that was disturbed can
be held against one that was not, and a table against another one.
"""

import json
import platform
import subprocess
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path
from typing import Any

MARK = "made with "  # how the line of a log begins
PACKAGES = (
    "torch", "torchvision", "timm", "pretrainedmodels", "efficientnet-pytorch", "numpy", "scipy", "scikit-learn",
    "pandas", "pyarrow", "h5py", "safetensors", "pillow",
)  # fmt: skip


def describe_run() -> str:
    """Return a line for the log of a job that has ended well."""
    return MARK + json.dumps({**software(), "host": platform.node(), "gpus": _gpus(), "time": _now()})


def read_run(lines: Iterable[str]) -> dict[str, Any]:
    """Read the last such line of a log; empty where there is none."""
    for line in reversed(list(lines)):
        if line.startswith(MARK):
            try:
                found = json.loads(line.removeprefix(MARK))
            except json.JSONDecodeError:
                continue
            return found if isinstance(found, dict) else {}
    return {}


@cache
def software() -> dict[str, str]:
    """Return the versions of this package, with its commit, of Python and of the libraries that compute."""
    versions = {name: found for name in PACKAGES if (found := _version(name))}
    return {
        "layerwise": _version("layerwise") or "none",
        "commit": _commit(),
        "python": platform.python_version(),
    } | versions


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _commit() -> str:
    """Return the commit of the checkout that this code lies in, or that it was installed from; empty if unknown."""
    root = Path(__file__).resolve().parents[3]
    if not (root / ".git").exists():
        return _installed_from()
    commit = _git(root, "rev-parse", "HEAD")
    changed = commit and _git(root, "status", "--porcelain", "--untracked-files=no", "--", "src")
    return f"{commit} and changes since" if changed else commit


def _installed_from() -> str:
    try:
        text = distribution("layerwise").read_text("direct_url.json")
    except PackageNotFoundError:
        return ""
    return str(json.loads(text).get("vcs_info", {}).get("commit_id", "")) if text else ""


def _git(root: Path, *arguments: str) -> str:
    try:
        command = ["git", "-C", str(root), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def _gpus() -> list[str]:
    """Name the GPUs that this process used; without torch, or before it used any, none."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return []
    return [torch.cuda.get_device_name(place) for place in range(torch.cuda.device_count())]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")

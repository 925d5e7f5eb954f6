import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv-brainscore" / "bin" / "python"
EXPORTER = ROOT / "workflow" / "scripts" / "export_brainscore.py"


@pytest.fixture(scope="session")
def exporter():
    """The exporter as a module of this environment, which has no Brain-Score."""
    spec = importlib.util.spec_from_file_location("export_brainscore", EXPORTER)
    module = importlib.util.module_from_spec(spec)
    sys.modules["export_brainscore"] = module  # its dataclass looks itself up there
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def brainscore_package():
    """The folder of Brain-Score's package in its environment."""
    if not (ROOT / ".venv-brainscore" / "installed").is_file():
        pytest.skip("Brain-Score's environment is not here: `make test-brainscore` sets it up")
    (folder,) = (ROOT / ".venv-brainscore").glob("lib/python*/site-packages/brainscore_vision")
    return folder


@pytest.fixture(scope="session")
def brainscore(brainscore_package):
    """Run a Python file in Brain-Score's environment."""

    def run(*arguments):
        single = os.environ | {"OMP_NUM_THREADS": "1"}
        return subprocess.run([PYTHON, *map(str, arguments)], env=single, capture_output=True, text=True)

    return run

"""What jobs in an environment of conda are given: a lock, and code that no other package comes with."""

import os
import subprocess
import sys

import pytest

import layerwise
from layerwise.study.software import keep_lock, lock_of_jobs, share_code


@pytest.mark.parametrize(("chosen", "name"), [({}, "layerwise"), ({"LAYERWISE_LOCK": ""}, "layerwise")])
def test_the_lock_is_that_for_todays_gpus(chosen, name):
    assert lock_of_jobs(chosen) == name
    assert lock_of_jobs({"LAYERWISE_LOCK": "v100"}) == "v100"


def test_another_lock_is_refused():
    with pytest.raises(ValueError, match=r"LAYERWISE_LOCK is 'V100'; it may be layerwise or v100"):
        lock_of_jobs({"LAYERWISE_LOCK": "V100"})


def test_a_lock_is_kept_as_it_is_now(tmp_path):
    lock = tmp_path / "some.lock"
    for text in ("a==1", "a==2"):
        lock.write_text(text)
        keep_lock("layerwise", lock, tmp_path / "kept")
        assert (tmp_path / "kept/layerwise.lock").read_text() == text


def test_a_shell_finds_the_code_of_this_process_and_no_package_beside_it(tmp_path):
    folder = tmp_path / "a folder"
    for _ in range(2):  # nothing is in the way the second time
        prefix = share_code(folder)
    environment = {"PATH": os.environ["PATH"], "CONDA_PREFIX": sys.prefix}
    ask = prefix + 'layerwise --version && echo "$PYTHONPATH" "$PYTHONNOUSERSITE"'
    said = subprocess.run(ask, shell=True, env=environment, capture_output=True, text=True, check=True).stdout
    assert said.splitlines() == [f"layerwise {layerwise.__version__}", f"{folder / layerwise.__version__} 1"]
    found = {path.name for path in (folder / layerwise.__version__).iterdir()}
    assert found <= {"bin", "layerwise", f"layerwise-{layerwise.__version__}.dist-info"} and "layerwise" in found
    there = (folder / layerwise.__version__ / "layerwise").resolve()
    assert there == (tmp_path / layerwise.__file__).resolve().parent


def test_without_an_environment_the_command_says_so(tmp_path):
    prefix = share_code(tmp_path)
    done = subprocess.run(prefix + "layerwise", shell=True, env={"PATH": os.environ["PATH"]}, capture_output=True)
    assert done.returncode and b"no environment is active" in done.stderr

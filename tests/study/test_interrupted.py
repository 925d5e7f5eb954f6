"""SIGINT to a process alone ends what it started, which saves what it has; what ends by itself is left alone."""

import os
import signal
import subprocess
import sys
import time

import pytest

PARENT = """
import subprocess, sys
from layerwise.study.interrupted import pass_on_interrupts
pass_on_interrupts(float(sys.argv[2]))
child = subprocess.Popen(["bash", "-c", f"{sys.executable} -c '{sys.argv[1]}' & wait"])
try:
    child.wait()
except KeyboardInterrupt:
    child.wait()
    print("interrupted", flush=True)
"""
# What waits for SIGTERM and tells of it; what ends at once by itself would not.
CHILD = """
import signal, sys, time
def stop(*_):
    print("saved", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
signal.signal(signal.SIGINT, lambda *_: sys.exit(0))
print("runs", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize(
    ("whole", "patience"),
    [pytest.param(False, 0.5, id="to it alone"), pytest.param(True, 30, id="Ctrl-C", marks=pytest.mark.slow)],
)
def test_jobs_end_with_it(whole, patience):
    command = [sys.executable, "-c", PARENT, CHILD, str(patience)]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, process_group=0)
    assert parent.stdout.readline() == "runs\n"
    started = time.monotonic()
    if whole:
        os.killpg(parent.pid, signal.SIGINT)  # no command `kill`: procps takes a negative number for all processes
    else:
        parent.send_signal(signal.SIGINT)
    said, _ = parent.communicate(timeout=30)
    assert "interrupted" in said and ("saved" in said) == (not whole)
    assert time.monotonic() - started < 25

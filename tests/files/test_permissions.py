"""Files that another user keeps to themselves are told in a sentence, and locks of theirs can be waited for."""

import subprocess
import sys

import pytest
from other_user import hand_over, in_group, owner

from layerwise.files import explain_denial, require_writable

SAY = """
import sys
from pathlib import Path
from layerwise.files import explain_denial, locked, require_writable
doing, path = sys.argv[1:]
try:
    if doing == "read":
        Path(path).read_text()
    elif doing == "write":
        Path(path).write_text("mine")
    elif doing == "lock":
        with locked(path):
            print("locked")
    else:
        require_writable(path)
        print("writable")
except (OSError, ValueError) as error:
    print(explain_denial(error))
"""

KILLED = """
import os, sys
from pathlib import Path
from layerwise.files import lock
lock._take(Path(sys.argv[1]))
os._exit(1)
"""


@pytest.fixture
def theirs(tmp_path):
    """A folder of another user, written with umask 027: its group may read."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    (folder / "table").write_text("theirs")
    (folder / "secret").write_text("theirs")
    (folder / "secret").chmod(0)
    (folder / "table").chmod(0o440)
    folder.chmod(0o550)
    hand_over(folder)
    yield folder
    folder.chmod(0o750)


def say(doing, path):
    command = [*in_group(), sys.executable, "-c", SAY, doing, path]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_what_may_not_be_written_is_told_with_its_owner_and_what_to_do(theirs):
    said = say("write", theirs / "new")
    assert said.startswith(f"Permission denied: {theirs / 'new'}; {theirs} is dr-xr-x--- of {owner()}, group ")
    assert "chmod -R g+rwX" in said and len(said.splitlines()) == 1
    assert say("require", theirs / "a/b").startswith(
        f"nothing can be written in {theirs / 'a/b'}; {theirs} is dr-xr-x---"
    )


def test_what_the_group_may_read_is_read_and_what_it_may_not_is_told(theirs):
    assert say("read", theirs / "table") == ""
    assert f"{theirs / 'secret'} is ---------- of {owner()}" in say("read", theirs / "secret")


def test_one_s_own_folder_is_writable_and_other_errors_say_what_they_say(tmp_path):
    require_writable(tmp_path / "new/folder")
    assert explain_denial(ValueError("seven")) == "seven"
    assert explain_denial(PermissionError(13, "Permission denied")) == "[Errno 13] Permission denied"


def test_a_lock_that_another_user_left_is_taken_where_the_folder_may_be_written(tmp_path):
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o2770)
    left = folder / ".table.lock"
    subprocess.run([sys.executable, "-c", KILLED, left], check=False, umask=0o027)
    assert left.stat().st_mode & 0o777 == 0o660
    hand_over(folder)
    folder.chmod(0o2770)  # which a change of owner takes away
    assert say("lock", folder / "table") == "locked"
    assert list(folder.iterdir()) == []

"""A training dies with the process that started it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[4]
SLEEPER = "import sys, os, time; open(sys.argv[1], 'w').write(str(os.getpid())); time.sleep(60)"
PARENT = """
import os, subprocess, sys, time
module = "tuning.engine.process.exit_with_parent"
subprocess.Popen([sys.executable, "-m", module, str(os.getpid()), "sleeper", sys.argv[1]], process_group=0)
time.sleep(60)
"""


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_the_child_dies_when_its_parent_is_killed(tmp_path: Path) -> None:
    (tmp_path / "sleeper.py").write_text(SLEEPER)
    written = tmp_path / "pid"
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}:{ROOT}"}
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(written)], env=environment, start_new_session=True)
    deadline = time.monotonic() + 20
    while not (written.exists() and written.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    child = int(written.read_text())
    assert alive(child)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    while alive(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive(child)


def test_a_child_whose_parent_is_already_gone_does_not_begin(tmp_path: Path) -> None:
    (tmp_path / "sleeper.py").write_text(SLEEPER)
    command = [sys.executable, "-m", "tuning.engine.process.exit_with_parent", "1", "sleeper", str(tmp_path / "pid")]
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": f"{tmp_path}:{ROOT}"}, check=False, timeout=20)
    assert done.returncode == -signal.SIGKILL

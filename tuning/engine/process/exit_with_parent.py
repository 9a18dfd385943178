"""Run a module in a process that exits when its parent does.

    python -m tuning.engine.process.exit_with_parent PARENT_PID MODULE ARGUMENTS…

A training must end at once when its worker is killed. Otherwise the worker that resumes the run would train it a
second time at the same moment. On Linux the kernel kills the child (prctl); elsewhere a thread checks the parent.
"""

from __future__ import annotations

import ctypes
import os
import runpy
import signal
import sys
import threading
import time

_PR_SET_PDEATHSIG = 1
_CHECK_SECONDS = 0.5


def set_parent_death_signal(number: int = signal.SIGKILL) -> None:
    """Ask Linux to send this signal to the process when its parent ends; the request survives an exec.

    On other systems this does nothing.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)


def exit_with_parent(parent_pid: int) -> None:
    """Make this process die when `parent_pid`, which must be its parent, dies."""
    set_parent_death_signal()
    threading.Thread(target=_watch, args=(parent_pid,), name="exit-with-parent", daemon=True).start()


def _watch(parent_pid: int) -> None:
    while os.getppid() == parent_pid:
        time.sleep(_CHECK_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    parent_pid, module, *arguments = sys.argv[1:]
    exit_with_parent(int(parent_pid))
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()

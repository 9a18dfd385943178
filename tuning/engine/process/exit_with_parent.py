"""Run a module that may not outlive the process which started it.

    python -m tuning.engine.process.exit_with_parent PARENT_PID MODULE ARGUMENTS…

A training whose worker was killed must end at once. Otherwise the worker that resumes the run would train it a
second time at the same moment. Linux kills the child by itself (prctl); elsewhere a thread watches the parent.
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
_LOOK_SECONDS = 0.5


def tie_to(parent_pid: int) -> None:
    """From now on this process dies when `parent_pid`, which must be its parent, does."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    threading.Thread(target=_watch, args=(parent_pid,), name="leash", daemon=True).start()


def _watch(parent_pid: int) -> None:
    while os.getppid() == parent_pid:
        time.sleep(_LOOK_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    parent_pid, module, *arguments = sys.argv[1:]
    tie_to(int(parent_pid))
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()

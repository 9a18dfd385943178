"""Run a command that ends with the process that started it: `python -m config.exec_child COMMAND…`."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def exit_with_parent(number: int = signal.SIGKILL) -> None:
    """Ask Linux to send this signal to the process when its parent ends; the request survives an exec.

    On other systems this does nothing.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)


if __name__ == "__main__":
    exit_with_parent()
    os.execvp(sys.argv[1], sys.argv[1:])

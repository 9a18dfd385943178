"""Run a command that ends with the process that started it: `python -m config.exec_child COMMAND…`."""

from __future__ import annotations

import os
import sys

from tuning.engine.process.exit_with_parent import set_parent_death_signal

if __name__ == "__main__":
    set_parent_death_signal()
    os.execvp(sys.argv[1], sys.argv[1:])

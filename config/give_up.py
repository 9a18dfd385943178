"""Event listener of supervisord: report each process that ended, and stop all of them when one ends at each start.

An installation that lacks one process would look healthy while its work waits, so it stops as a whole.
"""

from __future__ import annotations

import os
import signal
import sys

from supervisor import childutils


def main() -> None:
    """Answer supervisord's events until it ends."""
    while True:
        headers, payload = childutils.listener.wait()
        name = childutils.get_headers(payload)["processname"]
        if headers["eventname"] == "PROCESS_STATE_FATAL":
            print(f"tandem: {name} ends at each start; giving up", file=sys.stderr, flush=True)
            os.kill(os.getppid(), signal.SIGTERM)
        else:
            print(f"{name} ended; it is started again", file=sys.stderr, flush=True)
        childutils.listener.ok()


if __name__ == "__main__":
    main()

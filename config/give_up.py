"""supervisord's listener: say which process ended, and end the whole set when one dies at each start.

Half a Tandem that looks as if it ran is worse than none.
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
            print(f"{name} ended; starting it again", file=sys.stderr, flush=True)
        childutils.listener.ok()


if __name__ == "__main__":
    main()

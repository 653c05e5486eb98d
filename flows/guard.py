"""Runs a Prefect server for as long as whoever started this process lives.

The starter holds the other end of standard input. When that closes, because the starter is done
or was killed, the server is ended: no orphan is left, whatever happens to the starter.

usage: python -m flows.guard HOST PORT
"""

from __future__ import annotations

import subprocess
import sys
import threading

_STOP_TIMEOUT_S = 5.0


def main(host: str, port: str) -> int:
    """Exit status of the server."""
    command = ["-m", "prefect", "server", "start", "--host", host, "--port", port]
    server = subprocess.Popen([sys.executable, *command], stdin=subprocess.DEVNULL)

    def end_with_starter() -> None:
        sys.stdin.buffer.read()
        server.terminate()
        try:
            server.wait(timeout=_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            server.kill()

    threading.Thread(target=end_with_starter, daemon=True).start()
    return server.wait()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

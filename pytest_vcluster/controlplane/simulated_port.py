"""What answers at a port of a simulated pod: 503 and a reason, as far as whoever asks speaks HTTP.

The one rule: standard library only, no import of ours; it runs as `python -I -S simulated_port.py REASON` for every
connection, which it has as standard input and output.
"""

import os
import sys


def main() -> None:
    """Wait for a first word, and answer it."""
    if not os.read(0, 65536):
        return
    body = f"{sys.argv[1]}\n".encode()
    lines = (
        "HTTP/1.1 503 Service Unavailable",
        "Content-Type: text/plain; charset=utf-8",
        f"Content-Length: {len(body)}",
        "Connection: close",
    )
    head = "\r\n".join((*lines, "", "")).encode()
    os.write(1, head + body)


if __name__ == "__main__":
    main()

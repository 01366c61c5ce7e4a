"""Who is at the other end of a Unix socket, as the kernel says.

The one rule: nobody is believed who merely says so.
"""

from __future__ import annotations

import socket
import struct
import sys

_SOL_LOCAL, _LOCAL_PEERPID = 0, 2  # macOS, <sys/un.h>


def peer_pid(connection: socket.socket) -> int:
    """The process that connected (or, seen from there, that listens); 0 if the system can't tell."""
    try:
        if sys.platform == "darwin":
            return connection.getsockopt(_SOL_LOCAL, _LOCAL_PEERPID)
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        pid: int = struct.unpack("3i", credentials)[0]
    except OSError:
        return 0
    else:
        return pid

"""The last one to leave: a tiny process that kills what is left of a run and removes its files.

The one rule: standard library only, no import of ours, for it runs as `python -I -S reaper.py DIRECTORY LOCK` with the
read end of a pipe as its input. The service writes a line for every process it starts, and for every last will; when
the pipe breaks, however the service ended, the reaper kills each of them that is still the same process (id and start
time), has the wills carried out, removes the directory and the lock file, and ends. It holds the run's lock, inherited
as an open file, until then: who gets the lock knows that nothing is left. The same lines are in a file of the
directory: a service that dies while it starts a new reaper has not told it everything.

Only what can't be removed now (Docker has stopped, say) is left written down in the directory, for the next sweep.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

VOLUMES = Path("/tmp/hostpath_pv")  # noqa: S108 - wherever TMPDIR is
"""Where kube-controller-manager makes a directory for each volume, and with it a run of ours for simulated ones."""
WILL = "will\t"
"""What the line of a last will begins with, before its JSON."""
LIST = "processes"
"""The file of these lines in a run's directory."""
_PATIENCE_SECONDS = 2.0
_POLL_SECONDS = 0.005


def started(pid: int) -> str:
    """When process `pid` started, as the system tells it; empty if there is no such process (or only its zombie)."""
    if _has_proc():
        try:
            fields = _stat(pid)
        except OSError:
            return ""
        return "" if fields[0] in ("Z", "X") else fields[19]
    import subprocess  # noqa: PLC0415 - not needed on Linux, where starting quickly matters as well

    command = ["/bin/ps", "-o", "stat=,lstart=", "-p", str(pid)]
    state, _, when = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip().partition(" ")
    return "" if state.startswith("Z") else when.strip()


def _has_proc() -> bool:
    return Path("/proc/self/stat").exists()


def _stat(pid: int | str) -> list[str]:
    # The second field is the name in parentheses, and may hold anything.
    return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()


def parse(text: str) -> dict[int, str]:
    """Process id -> start time, of complete lines `PID<tab>START`."""
    pairs = [line.partition("\t") for line in text.split("\n")[:-1]]
    return {int(pid): start for pid, _, start in pairs if pid.isdigit() and start}


def written_in(directory: Path) -> str:
    """The complete lines of the list in `directory`; its writer may have been killed in the middle of one."""
    try:
        text = (directory / LIST).read_text()
    except OSError:
        return ""
    return text[: text.rfind("\n") + 1]


def kill(children: Mapping[int, str]) -> None:
    """Kill the session of each of `children` that is still the same process, and return when they are gone."""
    alive = {pid for pid, start in children.items() if started(pid) == start}
    for pid in alive:
        try:
            os.killpg(pid, signal.SIGKILL)  # each leads a group of its own
        except (ProcessLookupError, PermissionError):
            continue
    orphans = _orphans({pid: start for pid, start in children.items() if pid not in alive})
    for pid in orphans:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    _until_gone([*alive, *orphans])


def _orphans(leaders: Mapping[int, str]) -> list[int]:
    # What a dead leader left in its session; the system doesn't give its id away while the session has members.
    if not leaders or not _has_proc():
        return []
    found = []
    for entry in os.listdir("/proc"):  # noqa: PTH208 - pathlib makes an object of each of a thousand entries
        if not entry.isdigit():
            continue
        try:
            fields = _stat(entry)
        except OSError:
            continue
        leader = int(fields[3])
        if leader in leaders and not started(leader) and int(fields[19]) >= int(leaders[leader]):
            found.append(int(entry))
    return found


def _until_gone(pids: Iterable[int]) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    for pid in pids:
        while started(pid) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)


def carry_out(text: str) -> bool:
    """Have the last wills among the lines of `text` carried out; whether all were."""
    wills = dict.fromkeys(line.removeprefix(WILL) for line in text.split("\n")[:-1] if line.startswith(WILL))
    if not wills:
        return True
    import subprocess  # noqa: PLC0415 - most runs leave none

    command = [sys.executable, "-I", "-S", str(Path(__file__).with_name("executor.py"))]
    return subprocess.run(command, input="\n".join(wills), text=True, check=False).returncode == 0


def leave(directory: Path, text: str) -> bool:
    """Remove `directory`, after what is written in `text` about things outside; whether nothing is left."""
    if carry_out(text):
        remove(directory)
        return True
    for each in directory.iterdir() if directory.exists() else ():
        if each.is_dir() and not each.is_symlink():
            remove(each)
        elif each.name != LIST:
            each.unlink(missing_ok=True)
    return False


def remove(directory: Path) -> None:
    """Remove `directory` with all in it, even if somebody who is just dying still writes there."""
    import shutil  # noqa: PLC0415 - needed at the end only

    deadline = time.monotonic() + _PATIENCE_SECONDS
    while directory.exists() and time.monotonic() < deadline:
        shutil.rmtree(directory, ignore_errors=True)
        if directory.exists():
            time.sleep(_POLL_SECONDS)


def remove_lock(lock: Path) -> None:
    """Remove a run's lock file, which the caller holds, and the directory of all runs if this was the last."""
    lock.unlink(missing_ok=True)
    try:
        lock.parent.rmdir()
    except OSError:
        return  # other runs are there


def remove_empty(parent: Path) -> None:
    """Remove the empty directories in `parent`, and it with the last one; nobody misses one he has put nothing into."""
    try:
        for each in parent.iterdir():
            try:
                each.rmdir()
            except OSError:
                continue  # it holds something, is another user's, or has gone with its volume
        parent.rmdir()
    except OSError:
        return  # there is none, or something is left in it


def main() -> None:
    """Wait until the pipe breaks, then leave nothing."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # whoever ends everything else must not end this first
    directory, lock = Path(sys.argv[1]), Path(sys.argv[2])
    heard = b""
    while piece := os.read(0, 65536):
        heard += piece
    lines = written_in(directory) + heard.decode()
    kill(parse(lines))
    leave(directory, lines)
    remove_empty(VOLUMES)
    remove_lock(lock)
    os._exit(0)


if __name__ == "__main__":
    main()

"""Become a program that can look at this machine but not change it; for what commands in simulated pods run in.

The one rule: all or nothing. The program learns of its confinement by a further argument, CONFINED, which it gets only
if every lock is in place; without it, it must not run anything for anybody.

It runs as `python -I -S confined.py CONFINED PROGRAM ARGUMENT...`, so it imports the standard library only. The locks
hold for the program and whatever it starts, and nothing takes them off again:

* no new privileges and no capabilities, so a root user is one in name only;
* Landlock (https://docs.kernel.org/userspace-api/landlock.html; what is asked of it here takes Linux 6.12): no file is
  written, made or removed, devices of no consequence apart, and no signal reaches a process outside;
* seccomp, for what Landlock leaves open: modes, owners, times and attributes of files; and for leaving the group of
  processes that is killed when the run ends.
"""

import ctypes
import os
import struct
import sys

_WRITABLE = ("/dev/null", "/dev/zero", "/dev/full", "/dev/tty", "/dev/ptmx", "/dev/pts")

_PR_CAPBSET_READ, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP = 23, 24, 38, 22
_SECCOMP_MODE_FILTER = 2
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_LANDLOCK_ABI = 6
_RULE_PATH_BENEATH = 1
_WRITE_FILE, _TRUNCATE = 1 << 1, 1 << 14
# Remove directories and files; make devices, directories, files, sockets, pipes and links; move between directories.
_CHANGES = _WRITE_FILE | _TRUNCATE | sum(1 << bit for bit in range(4, 14))
# Abstract Unix sockets and signals stay within.
_SCOPES = 1 << 0 | 1 << 1

# By name of the machine: how seccomp calls it, and the numbers of setpgid and setsid, and of chmod, chown, utime,
# setxattr, removexattr and their variants there.
_SYSTEM_CALLS = {
    "x86_64": (
        0xC000003E,
        (109, 112, 90, 91, 92, 93, 94, 132, 188, 189, 190, 197, 198, 199, 235, 260, 261, 268, 280, 452, 463, 466),
    ),
    "aarch64": (0xC00000B7, (154, 157, 5, 6, 7, 14, 15, 16, 52, 53, 54, 55, 88, 452, 463, 466)),
}


def main() -> None:
    """Become the program named on the command line."""
    told, program, *arguments = sys.argv[1:]
    try:
        _confine()
        arguments.append(told)
    except OSError as error:
        sys.stderr.write(f"not confined, so commands in simulated pods are not run: {error}\n")
    try:
        os.execv(program, [program, *arguments])  # noqa: S606 - no shell is wanted
    except OSError as error:
        raise SystemExit(f"{program} can't be executed: {error}") from error


def _confine() -> None:
    """Put all locks in place; OSError if one can't be."""
    machine = os.uname().machine
    if sys.platform != "linux" or machine not in _SYSTEM_CALLS:
        raise OSError(f"it takes Linux on {' or '.join(_SYSTEM_CALLS)}, this is {sys.platform} on {machine}")
    system = ctypes.CDLL(None, use_errno=True)
    _checked(system.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl(PR_SET_NO_NEW_PRIVS)")
    _drop_capabilities(system)
    _restrict_files_and_signals(system)
    _restrict_calls(system, *_SYSTEM_CALLS[machine])


def _drop_capabilities(system: ctypes.CDLL) -> None:
    # Those of a program that is executed are bounded by this set. Whoever may not change it has none to lose.
    capability = 0
    while os.geteuid() == 0 and (held := system.prctl(_PR_CAPBSET_READ, capability, 0, 0, 0)) >= 0:
        if held:
            _checked(system.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0), "prctl(PR_CAPBSET_DROP)")
        capability += 1


def _restrict_files_and_signals(system: ctypes.CDLL) -> None:
    version = system.syscall(_LANDLOCK_CREATE, None, ctypes.c_size_t(0), 1)
    if version < _LANDLOCK_ABI:
        raise OSError(f"it takes Landlock version {_LANDLOCK_ABI} (Linux 6.12), this system has {max(version, 0)}")
    attributes = struct.pack("=QQQ", _CHANGES, 0, _SCOPES)
    rules = system.syscall(_LANDLOCK_CREATE, attributes, ctypes.c_size_t(len(attributes)), 0)
    _checked(rules, "landlock_create_ruleset")
    for path in _WRITABLE:
        try:
            descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        beneath = struct.pack("=Qi", _WRITE_FILE | _TRUNCATE, descriptor)
        _checked(system.syscall(_LANDLOCK_ADD, rules, _RULE_PATH_BENEATH, beneath, 0), "landlock_add_rule")
        os.close(descriptor)
    _checked(system.syscall(_LANDLOCK_RESTRICT, rules, 0), "landlock_restrict_self")
    os.close(rules)


def _restrict_calls(system: ctypes.CDLL, architecture: int, refused: tuple[int, ...]) -> None:
    load, equal, answer = 0x20, 0x15, 0x06
    allow, refuse = 0x7FFF0000, 0x00050000 | 1  # EPERM
    program = [(load, 0, 0, 4), (equal, 1, 0, architecture), (answer, 0, 0, refuse), (load, 0, 0, 0)]
    program += [(equal, len(refused) - index, 0, number) for index, number in enumerate(refused)]
    program += [(answer, 0, 0, allow), (answer, 0, 0, refuse)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *instruction) for instruction in program))
    described = struct.pack("@HP", len(program), ctypes.addressof(code))
    _checked(system.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, described, 0, 0), "prctl(PR_SET_SECCOMP)")


def _checked(result: int, call: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{call}: {os.strerror(number)}")


if __name__ == "__main__":
    main()

"""What this machine runs, and whether a given file is that.

The one rule: files are judged by their first bytes; nothing is ever executed to find out whether it can be.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path

from pytest_vcluster.errors import ToolchainError
from pytest_vcluster.toolchain.failures import variable
from pytest_vcluster.toolchain.model import Binary, Source

_ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
_ELF_MACHINES = {3: "386", 20: "ppc", 21: "ppc64le", 22: "s390x", 40: "arm", 62: "amd64", 183: "arm64", 243: "riscv64"}
_MACHO_CPUS = {0x0100_0007: "amd64", 0x0100_000C: "arm64"}
_MACHO_THIN = b"\xcf\xfa\xed\xfe"
_MACHO_FAT = b"\xca\xfe\xba\xbe"
_HEADER = 512


@dataclass(frozen=True, slots=True)
class Target:
    """An operating system and an architecture in Go's words, as used by all download sites."""

    system: str
    architecture: str

    def __str__(self) -> str:
        return f"{self.system}/{self.architecture}"


def this_machine() -> Target:
    """The target that this process runs on."""
    uname = os.uname()
    machine = uname.machine.lower()
    return Target(uname.sysname.lower(), _ARCHITECTURES.get(machine, machine))


def targets_of(header: bytes) -> frozenset[Target] | None:
    """The targets an executable is for, told by its first bytes; empty: no executable; None: a script, for any."""
    if header.startswith(b"#!"):
        return None
    if header.startswith(b"\x7fELF") and len(header) >= 20:
        order = "<" if header[5] == 1 else ">"
        (machine,) = struct.unpack_from(f"{order}H", header, 18)
        return frozenset({Target("linux", _ELF_MACHINES.get(machine, f"ELF machine {machine}"))})
    if header.startswith(_MACHO_THIN) and len(header) >= 8:
        return frozenset({_darwin(*struct.unpack_from("<I", header, 4))})
    if header.startswith(_MACHO_FAT) and len(header) >= 8:
        (count,) = struct.unpack_from(">I", header, 4)
        offsets = range(8, min(8 + 20 * count, len(header) - 3), 20)
        return frozenset(_darwin(*struct.unpack_from(">I", header, at)) for at in offsets)
    if header.startswith(b"MZ"):
        return frozenset({Target("windows", "any")})
    return frozenset()


def check_runs(binary: Binary) -> None:
    """Raise ToolchainError when this machine can't run `binary`: not executable, or of another architecture."""
    _check(binary, this_machine())


def _check(binary: Binary, here: Target) -> None:
    path = binary.path
    told = _told_by(binary)
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER)
    except IsADirectoryError:
        raise _cannot(binary, f"it is a folder. {told}") from None
    except OSError as error:
        raise _cannot(binary, f"it can't be read ({error.strerror}). {told}") from error
    if not os.access(path, os.X_OK):
        raise _cannot(binary, f"it is not executable. `chmod +x {path}` makes it so. {told}")
    targets = targets_of(header)
    if targets is None or here in targets:
        return
    # Apple's own translation runs Intel programs on Apple machines.
    if here == Target("darwin", "arm64") and Target("darwin", "amd64") in targets:
        return
    if not targets:
        raise _cannot(binary, f"it is no executable: it starts with {header[:8]!r}. {told}")
    raise _cannot(binary, f"it is for {', '.join(sorted(map(str, targets)))}, and this machine is {here}. {told}")


def _darwin(cpu: int) -> Target:
    return Target("darwin", _MACHO_CPUS.get(cpu, f"Mach-O CPU {cpu:#x}"))


def _told_by(binary: Binary) -> str:
    if binary.source is Source.NAMED:
        own = variable(binary.component)
        return f"It is used because {own}, KUBEBUILDER_ASSETS or PATH names it: name another, or unset that."
    return f"Delete {binary.path} to have it fetched again."


def _cannot(binary: Binary, why: str) -> ToolchainError:
    message = f"{binary.component} at {binary.path} can't be run: {why}"
    return ToolchainError(message)


def readable_size(path: Path) -> int:
    """Size in bytes, 0 when there is no such file (yet)."""
    try:
        return path.stat().st_size
    except OSError:
        return 0

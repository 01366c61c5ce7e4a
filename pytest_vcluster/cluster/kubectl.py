"""kubectl, of the cluster's own version and with nothing of the user's around it.

The one rule: it sees this cluster's kubeconfig and no other, and remembers what it discovers only as long as the lease
lasts: kubectl keeps what it learns of an address for minutes, across processes, and the next test would be told about
the kinds of the last one.
"""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from pytest_vcluster.errors import KubectlError, Timeout
from pytest_vcluster.toolchain import Component, Sources, Wanted, check_runs, locate, obtain

_LOOK_SECONDS = 1.0
_INHERITED = ("PATH", "TMPDIR", "LANG", "LC_ALL", "TERM", "TZ")


def find(version: str, *, offline: bool, environ: Mapping[str, str]) -> Path:
    """The kubectl of this version, where `environ` says that binaries are; fetched or built if need be.

    Raises ToolchainError.
    """
    wanted = Wanted(Component.KUBECTL, version)
    sources = Sources.from_environ(environ, offline=offline)
    binary = locate(wanted, sources)
    if binary is None:
        (binary,) = obtain([wanted], sources, progress=logging.getLogger(__name__).info)
    else:
        check_runs(binary)
    return binary.path


def environment(kubeconfig: Path, home: Path, *, environ: Mapping[str, str]) -> dict[str, str]:
    """What kubectl may see: this kubeconfig, and a home folder of the lease's own for everything it keeps."""
    inherited = {name: environ[name] for name in _INHERITED if name in environ}
    return {
        **inherited,
        "KUBECONFIG": str(kubeconfig),
        "HOME": str(home),
        # The same as --cache-dir, which would be in the way of kubectl's plugins.
        "KUBECACHEDIR": str(home / "cache"),
        "KUBECTL_KUBERC": "false",
    }


def run(
    binary: Path,
    arguments: Sequence[str],
    *,
    kubeconfig: Path,
    home: Path,
    input: str | None,  # noqa: A002 - as in subprocess, and in the contract
    check: bool,
    timeout: float,
    look: Callable[[], None],
) -> str:
    """Run kubectl and return its standard output; raises KubectlError if it fails and `check` is set, and Timeout.

    `look` is called every second and may raise: kubectl goes on trying for a minute when an API server has died.
    """
    home.mkdir(mode=0o700, exist_ok=True)
    step = f"kubectl {' '.join(arguments)}"
    began = time.monotonic()
    with (
        _as_file(input) as stdin,
        subprocess.Popen(
            [str(binary), *arguments],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(kubeconfig, home, environ=os.environ),
        ) as process,
    ):
        try:
            stdout, stderr = _outputs(process, step=step, deadline=began + timeout, began=began, look=look)
        except BaseException:
            process.kill()
            raise
    if check and process.returncode != 0:
        raise KubectlError(tuple(arguments), returncode=process.returncode, stdout=stdout, stderr=stderr)
    return stdout


@contextlib.contextmanager
def _as_file(text: str | None) -> Iterator[IO[str] | int]:
    """Text as a file: a pipe that is filled bit by bit is forgotten by `communicate` after its first timeout."""
    if text is None:
        yield subprocess.DEVNULL
        return
    with tempfile.TemporaryFile("w+", encoding="utf-8") as file:
        file.write(text)
        file.seek(0)
        yield file


def _outputs(
    process: subprocess.Popen[str], *, step: str, deadline: float, began: float, look: Callable[[], None]
) -> tuple[str, str]:
    while True:
        try:
            return process.communicate(timeout=max(0.0, min(_LOOK_SECONDS, deadline - time.monotonic())))
        except subprocess.TimeoutExpired as error:
            look()
            if time.monotonic() >= deadline:
                seen = "\n".join(_text(part) for part in (error.stdout, error.stderr) if part).strip()
                elapsed = time.monotonic() - began
                raise Timeout(step, elapsed=elapsed, last_seen=seen[-2000:] or "kubectl printed nothing") from error


def _text(output: bytes | str) -> str:
    return output if isinstance(output, str) else output.decode(errors="replace")

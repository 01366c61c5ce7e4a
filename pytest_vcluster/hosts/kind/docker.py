"""Talking to Docker through its command line, as kind does.

The one rule: a command that fails says what Docker said. The user's environment decides which Docker that is (host,
context, credentials); what would choose a Kubernetes cluster or another container engine is left out of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_vcluster.errors import HostError, Timeout

_NOT_INHERITED = ("KUBECONFIG", "KIND_CLUSTER_NAME", "KIND_EXPERIMENTAL_PROVIDER")
_TAIL_LINES = 12
INFO_SECONDS = 20.0


def environment(environ: Mapping[str, str], program: Path) -> dict[str, str]:
    """The user's environment for `docker` and `kind`, in which kind finds this `program`."""
    kept = {name: value for name, value in environ.items() if name not in _NOT_INHERITED}
    kept["PATH"] = os.pathsep.join([str(program.parent), environ.get("PATH", os.defpath)])
    return kept


def which(environ: Mapping[str, str]) -> Path:
    """The `docker` program on the user's PATH; HostError if there is none."""
    found = shutil.which("docker", path=environ.get("PATH", os.defpath))
    if found is None:
        raise HostError(
            "The kind host needs Docker, and there is no program `docker` on PATH.\n"
            f"Checked: {environ.get('PATH', os.defpath)}\n"
            "Install Docker (https://docs.docker.com/engine/install/), or use --vcluster-host embedded, which needs "
            "none. `pytest-vcluster doctor --host kind` looks at this machine."
        )
    return Path(found).absolute()


def refused(said: str) -> HostError:
    """The error for a Docker that doesn't answer, from what it `said`."""
    if "permission denied" in said.lower():
        remedy = (
            "This user has no right to Docker's socket. Let an administrator add the user to the group `docker` "
            "(`sudo usermod -aG docker $USER`, then log in anew), or use rootless Docker."
        )
    else:
        remedy = (
            "Start Docker (`sudo systemctl start docker`, or Docker Desktop), and see that DOCKER_HOST and "
            "`docker context ls` name the one you mean."
        )
    return HostError(
        f"The kind host needs Docker, and Docker does not answer.\n`docker info` says: {said or 'nothing'}\n"
        f"{remedy}\n--vcluster-host embedded needs no Docker."
    )


def info_of(code: int, output: str, errors: str) -> Mapping[str, Any]:
    """What `docker info --format '{{json .}}'` says; HostError if it tells of no server."""
    try:
        found: Mapping[str, Any] = json.loads(output)
    except ValueError:
        found = {}
    said = " ".join([*(found.get("ServerErrors") or ()), *errors.split()])
    if code or not found.get("ServerVersion"):
        raise refused(said.removeprefix("ERROR: ").strip())
    return found


@dataclass(frozen=True, slots=True)
class Answer:
    """How a command ended."""

    code: int
    output: str
    errors: str

    @property
    def said(self) -> str:
        """Its last lines, those on stderr if there are any."""
        return "\n".join((self.errors.strip() or self.output.strip()).splitlines()[-_TAIL_LINES:])


@dataclass(frozen=True, slots=True, kw_only=True)
class Docker:
    """The Docker that the user's `docker` talks to. `register` hears of every process that is started."""

    program: Path
    environ: Mapping[str, str] = field(repr=False)
    register: Callable[[int], None] = field(repr=False)

    @classmethod
    def of(cls, environ: Mapping[str, str], *, register: Callable[[int], None]) -> Docker:
        """The one on the user's PATH; HostError if there is none."""
        program = which(environ)
        return cls(program=program, environ=environment(environ, program), register=register)

    async def info(self) -> Mapping[str, Any]:
        """What Docker says of itself; HostError if it doesn't answer, or doesn't answer this user."""
        try:
            answer = await self.answer("info", "--format", "{{json .}}", timeout=INFO_SECONDS)
        except Timeout as error:
            raise refused(f"nothing within {INFO_SECONDS:.0f} s") from error
        return info_of(answer.code, answer.output, answer.errors)

    async def run(self, *arguments: str, timeout: float, given: bytes | None = None) -> str:
        """Run `docker ARGUMENTS` and return its output; HostError with its last words if it fails."""
        answer = await self.answer(*arguments, timeout=timeout, given=given)
        if answer.code:
            raise HostError(f"docker {' '.join(arguments)} ended with {answer.code}:\n{answer.said}")
        return answer.output

    async def answer(
        self, *arguments: str, timeout: float, given: bytes | None = None, program: Path | None = None
    ) -> Answer:
        """Run `docker ARGUMENTS` and return how it ended, whatever that was; Timeout if it doesn't end.

        `program` is another one that talks to the same Docker, such as kind.
        """
        stdin = asyncio.subprocess.PIPE if given is not None else None
        async with self.started(*arguments, given=stdin, program=program) as process:
            try:
                output, errors = await asyncio.wait_for(process.communicate(given), timeout)
            except TimeoutError:
                raise Timeout(
                    f"{(program or self.program).name} {' '.join(arguments)}",
                    elapsed=timeout,
                    last_seen="it still runs",
                    remedy="See whether Docker is busy, or stuck: `docker info`, `docker ps -a`.",
                ) from None
        return Answer(process.returncode or 0, output.decode(errors="replace"), errors.decode(errors="replace"))

    @contextlib.asynccontextmanager
    async def started(
        self,
        *arguments: str,
        given: int | None = None,
        output: int = asyncio.subprocess.PIPE,
        program: Path | None = None,
    ) -> AsyncIterator[asyncio.subprocess.Process]:
        """Run `docker ARGUMENTS` for as long as the context is open; `given` and `output` as with subprocesses."""
        process = await asyncio.create_subprocess_exec(
            program or self.program,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL if given is None else given,
            stdout=output,
            stderr=asyncio.subprocess.PIPE,
            env=self.environ,
            start_new_session=True,
        )
        self.register(process.pid)
        try:
            yield process
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()

"""What the containers of simulated pods answer: a log that says so, commands run on this machine, ports that say so.

The one rule: nothing is changed by asking. The folder that commands start in is empty and stays so, and no pod has
anything that another one, or the next lease, could find. https://kwok.sigs.k8s.io/docs/user/kwok-in-cluster/
"""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

NOTHING_RUNS = "Nothing runs in this container: its node is simulated. For real containers use --vcluster-host kind."
_PORT = Path(__file__).with_name("simulated_port.py")


@dataclass(frozen=True, slots=True, kw_only=True)
class Containers:
    """Files that make kwok answer."""

    config: Path
    """Logs, attach and ports."""
    commands: Path
    """Exec: only for a kwok that is confined."""
    folder: Path
    """Where commands start."""
    namespace: str
    """Of all pods, as far as this configuration knows. kwok asks nobody who he is, so it is a secret."""


def furnish(directory: Path) -> Containers:
    """Write the files into `directory`, which is made and is for this user only."""
    directory.mkdir(mode=0o700)
    folder, log = directory / "empty", directory / "containers.log"
    folder.mkdir(mode=0o500)
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z")
    # As container runtimes write them: when, which stream, and F for a line that is complete.
    log.write_text(f"{now} stdout F {NOTHING_RUNS}\n")
    namespace = secrets.token_hex(16)
    config, commands = directory / "containers.yaml", directory / "commands.yaml"
    config.write_text(_yaml(_answers(namespace, log=log)))
    commands.write_text(_yaml([_rule("ClusterExec", namespace, execs=[{"local": {"workDir": str(folder)}}])]))
    return Containers(config=config, commands=commands, folder=folder, namespace=namespace)


def _answers(namespace: str, *, log: Path) -> Iterable[dict[str, object]]:
    none = log.with_name("no-previous-container")
    yield _rule("ClusterLogs", namespace, logs=[{"logsFile": str(log), "previousLogsFile": str(none)}])
    yield _rule("ClusterAttach", namespace, attaches=[{"logsFile": str(log)}])
    command = [sys.executable, "-I", "-S", str(_PORT), NOTHING_RUNS]
    yield _rule("ClusterPortForward", namespace, forwards=[{"command": command}])


def _rule(kind: str, namespace: str, **spec: object) -> dict[str, object]:
    return {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": kind,
        "metadata": {"name": "simulated"},
        "spec": {"selector": {"matchNamespaces": [namespace]}, **spec},
    }


def _yaml(documents: Iterable[object]) -> str:
    # JSON is YAML, and needs no library that takes 20 ms to import.
    return "\n---\n".join(json.dumps(document) for document in documents)

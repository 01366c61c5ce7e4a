"""How a pod reaches the API server of the cluster that it runs in.

The one rule: only for who says so in the configuration, and only from where Kubernetes puts it: the directory of the
service account and the variables of the pod's environment. https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from vcluster_syncer.kube.kubeconfig import KubeconfigError, Server
from vcluster_syncer.kube.token_file import TokenFile

_HOST, _PORT, _NAMESPACE = "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT", "POD_NAMESPACE"


def load(directory: Path, environment: Mapping[str, str]) -> Server:
    """Read the service account in `directory`; KubeconfigError tells what is missing."""
    host, port = variable(environment, _HOST), variable(environment, _PORT)
    try:
        authority = (directory / "ca.crt").read_text()
        token_file = TokenFile(directory / "token")
    except OSError as error:
        raise KubeconfigError(
            f"host.in_cluster: {error.filename} can't be read: {error.strerror}; is a token of the pod's "
            "ServiceAccount mounted there?"
        ) from error
    shown = f"[{host}]" if ":" in host else host
    return Server(url=f"https://{shown}:{port}", certificate_authority=authority, token_file=token_file)


def namespace(environment: Mapping[str, str]) -> str:
    """The namespace of this pod."""
    return variable(environment, _NAMESPACE)


def variable(environment: Mapping[str, str], name: str) -> str:
    """A variable of the pod's environment; KubeconfigError if it is not set."""
    value = environment.get(name, "")
    if not value:
        raise KubeconfigError(
            f"the variable {name} is not set: this configuration is for a pod, whose template sets it"
        )
    return value

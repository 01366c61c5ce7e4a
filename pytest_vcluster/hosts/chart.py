"""The chart of a virtual cluster in a pod: where it is, and what it makes of some values.

The one rule: helm renders and does nothing else. It is given no cluster to talk to, and who makes the objects is not
its business; what it refuses is told in its own words, because these name the value.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from pytest_vcluster.errors import ProvisionError

_SECONDS = 60.0
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def chart_folder() -> Path:
    """Where the chart is: beside the modules of an installed plugin, or in the repository that it is run from."""
    package = Path(__file__).resolve().parents[1]
    places = (package / "_chart", package.parent / "charts" / "vcluster")
    for place in places:
        if (place / "Chart.yaml").is_file():
            return place
    message = (
        f"The chart of virtual clusters is missing: neither {places[0]} nor {places[1]} is there. "
        "Install pytest-vcluster anew."
    )
    raise ProvisionError(message)


def render(helm: Path, name: str, namespace: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Render the objects of the virtual cluster `name` with `values`; blocks for a run of `helm`.

    ProvisionError says what helm refuses, such as a value that the chart does not have.
    """
    arguments = ["template", name, str(chart_folder()), "--namespace", namespace, "--values", "-", "--skip-tests"]
    try:
        run = subprocess.run(
            [helm, *arguments],
            input=json.dumps(values),
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
            env=_environment(),
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        message = f"The chart of {name} could not be rendered: {error}"
        raise ProvisionError(message) from error
    if run.returncode:
        message = f"The chart of {name} could not be rendered. helm says:\n{run.stderr.strip()}"
        raise ProvisionError(message)
    return parse(run.stdout)


def parse(text: str) -> list[dict[str, Any]]:
    """Read the objects in what helm wrote."""
    return [document for document in yaml.load_all(text, Loader=_Loader) if document]


def _environment() -> dict[str, str]:
    # Neither the user's helm configuration and plugins nor a cluster of his has a say.
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HELM_", "KUBE"))}
    return {**kept, "HELM_PLUGINS": os.devnull, "HELM_REGISTRY_CONFIG": os.devnull, "KUBECONFIG": os.devnull}

"""The way in: `python -m vcluster_syncer --config F.json`.

The one rule: in a pod the state to begin with is written before anything else is imported. The API server that starts
beside us looks for its store half a second after its own start, and when that is not there, not again for a second.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from vcluster_syncer.pod import ahead


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the syncer; returns the exit status."""
    given = sys.argv[1:] if arguments is None else arguments
    ahead.begin(given)
    from vcluster_syncer.command import run  # noqa: PLC0415 - see above

    return run(given)


if __name__ == "__main__":
    sys.exit(main())

"""`python .../service/__main__.py CONFIG.json LOCK`: one run service, as `election` starts it.

The one rule: what takes others long is begun first, and the garbage collector rests while all is imported (`process`
wakes it), when it would find nothing a dozen times. The first test of a run waits for every millisecond of this.
"""

import gc
import json
import sys

if __name__ == "__main__":
    gc.disable()
    with open(sys.argv[1], encoding="utf-8") as config:  # noqa: PTH123 - pathlib is slow to import
        document = json.load(config)
    from pytest_vcluster.service.ahead import begin

    begun = begin(document["run"]["ahead"])
    from pytest_vcluster.service.process import main

    main(document, lock=int(sys.argv[2]), begun=begun)

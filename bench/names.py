"""The names of the rows that other rows and the targets refer to."""

ENVTEST_START = "envtest: start"
ENVTEST_STOP = "envtest: stop"

BARE_FRESH = "bare: etcd and kube-apiserver from nothing, /readyz"
BARE_TEMPLATE = "bare: kube-apiserver from template, ready"

FIRST_FIXTURE = "ours: first test, fixture asked for until ready"
FIRST_WALL = "ours: pytest with one trivial test, wall"
FIRST_END = "ours: end of that run, last teardown until nothing is left"

NEXT_WARM = "ours: next test, cluster from the warm pool"
NEXT_BACK_TO_BACK = "ours: next test, empty tests back to back"
SUITE_WALL = "ours: those tests, wall per test"

PSS_SLOPE = "memory: per further cluster, PSS"
PRIVATE_SLOPE = "memory: per further cluster, private"
PRIVATE_OF = "memory:   of that, {part}"
PRIVATE_FIRST = "memory: whole run with one cluster, private"
PSS_FIRST = "memory: whole run with one cluster, PSS"

IMPORT = "plugin: import after pytest (-X importtime)"
VERSION_COST = "plugin: cost in `pytest -VV` (difference of the quickest)"
UNUSED_WITHOUT = "unused: 20 tests without the plugin, wall"
UNUSED_WITH = "unused: 20 tests with the plugin, wall"
UNUSED_COST = "unused: difference of the quickest, wall"
UNUSED_CPU = "unused: difference of the quickest, CPU"
UNUSED_PROCESSES = "unused: processes started"
UNUSED_THREADS = "unused: threads started"

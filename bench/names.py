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

PRISTINE_BACK_TO_BACK = "pristine: next cluster, back to back"
PRISTINE_WITH_WORK = "pristine: next cluster, 200 ms of work"
PRISTINE_POOL_OF_ONE = "pristine: next cluster, pool of one"
PRISTINE_NAMESPACE = "pristine: next namespace, shared cluster"
PRISTINE_BETWEEN = {
    PRISTINE_BACK_TO_BACK: "pristine:   between two bodies, back to back",
    PRISTINE_WITH_WORK: "pristine:   between two bodies, 200 ms of work",
    PRISTINE_POOL_OF_ONE: "pristine:   between two bodies, pool of one",
    PRISTINE_NAMESPACE: "pristine:   between two bodies, namespaces",
}
PRISTINE_BODY = "pristine: body of such a test, without work"
PRISTINE_RETIRED = "pristine: clusters not recycled, warm-up too"
ENVTEST_OVER_BACK_TO_BACK = "pristine: envtest start + stop / back to back"
ENVTEST_OVER_WITH_WORK = "pristine: envtest start + stop / 200 ms of work"
TEMPLATE_OVER_BACK_TO_BACK = "pristine: start from template / back to back"
TEMPLATE_OVER_WITH_WORK = "pristine: start from template / 200 ms of work"

OPERATOR = "suite: {variant}, {figure}"
BRIEF = "brief: {variant}, {figure}"
ISOLATED = "cluster per test"
SHARED = "shared cluster"
FROM_FIRST_BODY = "from the first body"
SECOND_HALF = "second half, per test"
BODY = "body of a test"
BETWEEN = "between two bodies"
WHOLE = "whole run"
CPU = "whole run, CPU"

RECYCLE = "recycle: {case}"
RECYCLE_FAILED = "recycle: clusters that did not get back"

LEASES = "leases: a second, pytest -n {count}"
LEASES_CLUSTERS = "leases:   clusters made in that run, -n {count}"
GROWTH_FEW = "leases: API server after {few}, {what}"
GROWTH_MOST = "leases: API server at its most afterwards, {what}"
GROWTH_RSS = "leases: growth of the API server, RSS"
GROWTH_PRIVATE = "leases: growth of the API server, private"
GROWTH_RETIRED = "leases: clusters retired on the way"
GROWTH_LEASES = "leases: leases in that run"

VIRTUAL = "virtual cluster"
HOST = "host alone"
CARRY = "carry: {case}, {side}"
CARRY_PODS = "{count} pods one by one"
CARRY_DEPLOYMENT = "Deployment of {count} pods"
CARRY_SERVICES = "{count} Services"
CARRY_CONFIG_MAPS = "{count} ConfigMaps, {used} of them used"
CREATING = "{case}, creating"
RUNNING = "{case}, all ready"
ON_HOST = "{case}, all on the host"
CARRY_STATUS_LAG = "carry: {count} pods, readiness to virtual"
CARRY_POD_LAG = "carry: {count} pods, pod to host"
CARRY_CPU = "carry: syncer's CPU for 1000 pods"
CARRY_TENANT = "carry: memory of an idle tenant"
CARRY_MEMORY = "carry: memory of 1000 ConfigMaps"
CARRY_UNUSED = "carry: unused ConfigMaps on the host"

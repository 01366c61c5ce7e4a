"""What the recycler works on, in memory: a small etcd, and an API server that shows what is stored at once.

The etcd keeps what the recycler relies on (one revision for every transaction that changes something, created and
modified revisions, a count that ignores the filter) and nothing else; the real one is in the integration tests.
"""

from vcluster_syncer.recycle.etcd import StoreError, Written, columns
from vcluster_syncer.recycle.stored import Baseline, Listing, Stamp
from vcluster_syncer.recycle.way_back import WayBack

MAP, OTHER, ROLE = b"configmaps/default/a", b"configmaps/default/b", b"clusterroles/admin"
STATE = {MAP: b"map", ROLE: b"role", b"namespaces/default": b"ns"}
KIND = b"apiextensions.k8s.io/customresourcedefinitions/widgets.example.com"
SERVED = b"apiregistration.k8s.io/apiservices/v1.example.com"


class Store:
    """The keys of one cluster."""

    def __init__(self, values=None):
        self.revision = 1
        self.values = {}
        self.stamps = {}
        for key, value in (values or {}).items():
            self.put(key, value)

    def put(self, key, value=b"-"):
        self.commit(put={key: value})

    def delete(self, *keys):
        self.commit(delete=keys)

    def live(self, history):
        """Have each value written to its key, or the key deleted where it is None, in this order."""
        for key, value in history:
            if value is None:
                self.delete(key)
            else:
                self.put(key, value)

    def commit(self, *, put=None, delete=()):
        """One transaction; returns its revision, which is a new one only if something changed."""
        put = put or {}
        assert not set(put) & set(delete), "etcd refuses to write a key twice in one transaction"
        if put or any(key in self.values for key in delete):
            self.revision += 1
        for key in delete:
            self.values.pop(key, None)
            self.stamps.pop(key, None)
        for key, value in put.items():
            before = self.stamps.get(key)
            self.values[key] = value
            self.stamps[key] = Stamp(before.created if before else self.revision, self.revision)
        return self.revision

    def listing(self, since=0):
        stamps = {key: stamp for key, stamp in self.stamps.items() if stamp.modified > since}
        return Listing(revision=self.revision, total=len(self.stamps), stamps=stamps)

    def baseline(self):
        return Baseline(values=dict(self.values), stamps=dict(self.stamps), revision=self.revision)


class FakeEtcd:
    """`recycle.etcd.Etcd` over a store.

    `before` is called with the name of each call before it is answered, and with "transaction" before each of a
    commit: that is when somebody else interferes.
    """

    def __init__(self, store, *, before=lambda _call: None):
        self.store = store
        self.before = before
        self.transactions = []
        """(put keys, deleted keys) of each."""
        self.failing = {}
        """Call -> the error it ends in."""

    async def baseline(self):
        self._enter("baseline")
        return self.store.baseline()

    def parse(self, answer):
        return answer["baseline"]

    async def changed_since(self, revision):
        self._enter("changed_since")
        return self.store.listing(revision)

    async def keys(self):
        self._enter("keys")
        return self.store.listing()

    async def commit(self, *, put, delete):
        self._enter("commit")
        written = Written()
        for keys in columns(delete, put):
            self._enter("transaction")
            values = {key: put[key] for key in keys if key in put}
            gone = [key for key in keys if key not in put]
            self.transactions.append((tuple(values), tuple(gone)))
            written.learn(keys, self.store.commit(put=values, delete=gone))
        return written

    async def prove_writable(self):
        self._enter("prove_writable")
        self.store.revision += 1

    def _enter(self, call):
        self.before(call)
        if call in self.failing:
            raise StoreError(self.failing[call])


class FakeBarrier:
    """`recycle.barrier.Barrier` that notes what it was asked to wait for; `during` may interfere, or raise."""

    def __init__(self, *, during=lambda _call: None):
        self.during = during
        self.calls = []

    def __call__(self, *_arguments, **_keywords):
        """Stands for the class too."""
        return self

    def asked(self, call):
        return [argument for name, argument in self.calls if name == call]

    async def caches(self, revisions):
        self._note("caches", dict(revisions))

    async def copies(self, named):
        self._note("copies", dict(named))

    async def namespace_gone(self, name):
        self._note("namespace_gone", name)

    async def node_ports(self, name):
        self._note("node_ports", name)

    async def controllers(self, name):
        self._note("controllers", name)

    async def discovery(self):
        self._note("discovery", None)

    def _note(self, call, argument):
        self.calls.append((call, argument))
        self.during(call)


class Way:
    """A cluster whose baseline is `STATE`, and a run back to it."""

    def __init__(self, state=STATE, *, meanwhile=lambda _store, _call: None, **options):
        self.store = Store(state)
        self.baseline = self.store.baseline()
        self.etcd = FakeEtcd(self.store, before=lambda call: meanwhile(self.store, call))
        self.wait = FakeBarrier(during=lambda call: meanwhile(self.store, call))
        self.back = WayBack(self.etcd, self.wait, self.baseline, **options)

    async def to_the_end(self):
        """As the recycler goes it."""
        await self.back.sweep()
        await self.back.confirm()
        await self.back.confirm_discovery()
        while await self.back.sweep():
            await self.back.confirm()
            await self.back.confirm_discovery()
        await self.back.verify()


def interfering(call, *writes, after=0):
    """Somebody who does one of `writes` at each `call` but for the first `after`, as long as there are any."""
    left, skip = list(writes), [None] * after

    def meanwhile(store, happening):
        if happening == call:
            if skip:
                skip.pop()
            elif left:
                left.pop(0)(store)

    return meanwhile

"""What the recycler works on, in memory: a small etcd, and an API server that shows what is stored at once.

The etcd keeps what the recycler relies on (one revision for every transaction that changes something, created and
modified revisions, a count that ignores the filter) and nothing else; the real one is in the integration tests.
"""

from vcluster_syncer.recycle.etcd import StoreError
from vcluster_syncer.recycle.stored import Baseline, Listing, Stamp


class Store:
    """The keys of one cluster. `revision` also counts what others wrote, as in an etcd that clusters share."""

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

    `before` is called with the name of each call before it is answered: that is when somebody else interferes.
    """

    def __init__(self, store, *, before=lambda _call: None):
        self.store = store
        self.before = before
        self.commits = []
        """(put keys, deleted keys) of each."""
        self.failing = {}
        """Call -> the error it ends in."""

    async def baseline(self):
        self._enter("baseline")
        return self.store.baseline()

    async def changed_since(self, revision):
        self._enter("changed_since")
        return self.store.listing(revision)

    async def keys(self):
        self._enter("keys")
        return self.store.listing()

    async def commit(self, *, put, delete):
        self._enter("commit")
        self.commits.append((tuple(put), tuple(delete)))
        revision = self.store.commit(put=put, delete=tuple(delete))
        return revision, dict.fromkeys(put, revision)

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

    async def caches(self, collections, revision):
        self._note("caches", (frozenset(collections), revision))

    async def copies(self, named):
        self._note("copies", dict(named))

    async def namespace_gone(self, name):
        self._note("namespace_gone", name)

    async def discovery(self):
        self._note("discovery", None)

    def _note(self, call, argument):
        self.calls.append((call, argument))
        self.during(call)

"""A kind, a tenant and clients that are just enough to watch the engine work."""

from vcluster_syncer.model import (
    CreateHost,
    DeleteHost,
    Key,
    Kind,
    Resource,
    Tenant,
)

WIDGETS = Resource("", "v1", "widgets", "Widget")
TENANT = Tenant(name="vc", host_namespace="vc", kubernetes_service_ip="10.0.0.1")
A = Key("default", "a")
NAME = "widget.example/name"


def tenant(name):
    return Tenant(name=name, host_namespace=name, kubernetes_service_ip="10.0.0.1")


def obj(name, revision=1, namespace="default", uid=None, **fields):
    metadata = {"namespace": namespace, "name": name, "uid": uid or f"uid-{name}", "resourceVersion": str(revision)}
    return {"apiVersion": "v1", "kind": "Widget", "metadata": metadata, **fields}


def host_obj(name, revision=1, uid=None):
    made = obj(f"host-{name}", revision, "vc", uid)
    made["metadata"]["annotations"] = {NAME: name}
    return made


def host_key(host, _tenant):
    name = host["metadata"].get("annotations", {}).get(NAME)
    return Key("default", name) if name else None


def carry(key, virtual, host, _world):
    """What is in the virtual cluster is on the host, under another name."""
    if virtual is None and host is not None:
        return [DeleteHost(WIDGETS, host["metadata"]["name"], host["metadata"]["uid"])]
    if virtual is not None and host is None:
        made = {"metadata": {"name": f"host-{key.name}", "annotations": {NAME: key.name}}, "kind": "Widget"}
        return [CreateHost(WIDGETS, made)]
    return []


def kind(reconcile=carry, **fields):
    return Kind(resource=WIDGETS, reconcile=reconcile, host_key=host_key, **fields)


class Scripted:
    """A client that answers what it was told to, in order, and remembers what it was asked."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.requests = []

    async def send(self, request):
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def asked(self):
        return [str(request) for request in self.requests]

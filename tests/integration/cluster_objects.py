"""Objects that the integration tests of the handle put into a cluster."""


def config_map(name, namespace=None, **data):
    place = {} if namespace is None else {"namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **place}, "data": data}


def namespace(name):
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def definition(plural, *, versions=("v1",), group="example.com", properties=None):
    """A definition of a namespaced kind whose spec has these properties."""
    spec = {"type": "object", "properties": properties or {"size": {"type": "integer", "minimum": 1}}}
    schema = {
        "type": "object",
        "properties": {"spec": spec, "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": plural, "singular": plural[:-1], "kind": plural[:-1].title()},
            "versions": [
                {
                    "name": version,
                    "served": True,
                    "storage": version == versions[0],
                    "subresources": {"status": {}},
                    "schema": {"openAPIV3Schema": schema},
                }
                for version in versions
            ],
        },
    }


def custom(kind, name, *, version="v1", group="example.com", **spec):
    return {"apiVersion": f"{group}/{version}", "kind": kind, "metadata": {"name": name}, "spec": spec}


def deployment(name, *, replicas=1):
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "main", "image": "registry.example/none:1"}]},
            },
        },
    }


def pod(name, namespace=None):
    place = {} if namespace is None else {"namespace": namespace}
    containers = [{"name": "main", "image": "registry.example/none:1"}]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, **place}, "spec": {"containers": containers}}

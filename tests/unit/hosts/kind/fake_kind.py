"""A Docker and a kind that are one file of JSON: started as `docker` and as `kind` by tests, under their names.

They are started without site packages, for there are many of them. What they should do wrong is in files of the folder
that FAKE_KIND names; what they were asked is in `calls` there.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import site
import sys
import time
from pathlib import Path

FOLDER = Path(os.environ.get("FAKE_KIND", "."))
VERSION = "v1.36.4"


@contextlib.contextmanager
def world():
    path = FOLDER / "world.json"
    with (FOLDER / "world.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        state = json.loads(path.read_text())
        yield state
        new = path.with_suffix(".new")
        new.write_text(json.dumps(state))
        new.rename(path)  # whoever reads without the lock, or is killed here, finds all of it


def wish(name):
    path = FOLDER / name
    return path.read_text() if path.exists() else ""


def fail(text):
    sys.stderr.write(text + "\n")
    sys.exit(1)


def options(words):
    """--name=value and --name value, in order."""
    words = list(words)
    while words:
        word = words.pop(0)
        if word.startswith("--"):
            name, equals, value = word.partition("=")
            flags = ("--all", "--quiet", "--no-trunc", "--force", "--volumes", "--type=container")
            yield name, value if equals or word in flags else words.pop(0)
        else:
            yield "", word


def container(cluster, role, *, number=1, mounts=(), image="kindest/node:v1.36.4", running=True):
    name = f"{cluster}-{role}{number if number > 1 else ''}"
    return {
        "Id": f"id-{name}",
        "Name": f"/{name}",
        "Config": {
            "Image": image,
            "Labels": {"io.x-k8s.kind.cluster": cluster, "io.x-k8s.kind.role": role},
        },
        "State": {"Running": running},
        "Mounts": [{"Destination": mount} for mount in mounts],
        "NetworkSettings": {"Networks": {"kind": {"IPAddress": "127.0.0.1", "Gateway": "127.0.0.1"}}},
        "files": {},
        "images": {},
    }


def selected(state, words):
    filters = [value for name, value in options(words) if name == "--filter"]
    for each in state["containers"]:
        labels = each["Config"]["Labels"]
        mounts = {mount["Destination"] for mount in each["Mounts"]}
        for text in filters:
            kind, _, value = text.partition("=")
            label, _, wanted = value.partition("=")
            if kind == "volume" and value not in mounts:
                break
            if kind == "label" and (label not in labels or (wanted and labels[label] != wanted)):
                break
        else:
            yield each


def docker(command, *words):
    if command == "info":
        if wish("down"):
            fail(wish("down"))
        return print(json.dumps({"ServerVersion": "28.2.2", "NCPU": 2, "MemTotal": 8 << 30}))
    if wish("down"):
        fail(wish("down"))
    if command == "save":
        with world() as state:
            return print(json.dumps({ref: state["images"][ref] for ref in words}))
    given = sys.stdin.read() if "-i" in words else ""  # before the lock, which who writes it needs too
    with world() as state:
        return in_world(state, command, words, given)


def in_world(state, command, words, given):
    if command == "ps":
        by_name = any("{{.Label" in word for word in words)
        for each in selected(state, words):
            print(each["Config"]["Labels"]["io.x-k8s.kind.cluster"] if by_name else each["Id"])
    elif command == "inspect":
        print(json.dumps([each for each in state["containers"] if each["Id"] in words]))
    elif command == "rm":
        if wish("stuck"):
            fail("removal is already in progress")
        state["containers"] = [each for each in state["containers"] if each["Id"] not in words]
    elif command == "start":
        for each in state["containers"]:
            each["State"]["Running"] |= each["Name"][1:] in words
    elif command == "image":
        ref = words[-1]
        print(state["images"][ref]) if ref in state["images"] else fail(f"Error: No such image: {ref}")
    elif command == "images":
        print(*(ref for ref in state["images"] if ref.startswith("kindest/node")), sep="\n")
    elif command == "pull":
        ref = words[-1]
        if ref not in state["registry"]:
            fail(f"Error response from daemon: manifest for {ref} not found")
        state["images"][ref] = state["registry"][ref]
    elif command == "exec":
        words = [word for word in words if word != "-i"]
        [node] = [each for each in state["containers"] if each["Name"] == f"/{words[0]}"]
        in_node(node, words[1:], given)
    else:
        fail(f"docker: {command!r} is not a docker command")


def in_node(node, words, given):
    program = words[0]
    if not node["State"]["Running"]:
        fail(f"container {node['Id']} is not running")
    if program == "kubectl":
        fail("timed out waiting for the condition on nodes/x") if "wait" in words and wish("unready") else None
    elif program == "cat":
        text = VERSION if words[1] == "/kind/version" else node["files"].get(words[1])
        print(text) if text else fail(f"cat: {words[1]}: No such file or directory")
    elif program == "cp":
        node["files"][words[2]] = given
    elif program == "crictl":
        print(json.dumps({"images": [{"id": each, "repoTags": [ref]} for ref, each in node["images"].items()]}))
    elif program == "containerd":
        print("version = 3\n[plugins.'io.containerd.cri.v1.images']\nsnapshotter = 'overlayfs'")
    elif program == "getent":
        print("192.168.65.254 STREAM host.docker.internal") if wish("desktop") else fail("")
    elif "import" in words:
        if wish("full"):
            fail("ctr: no space left on device")
        site.main()
        from pytest_vcluster.hosts.kind.images import canonical  # noqa: PLC0415 - slow, and needed only here

        for ref, each in json.loads(given).items():
            # Docker gives those that have no tag no name.
            node["images"][f"sha256:{each}" if "@" in ref else canonical(ref)] = each
    elif "tag" in words:
        node["images"][words[-1]] = words[-2]


def kubeconfig(name):
    cluster = {"name": f"kind-{name}", "cluster": {"server": f"https://127.0.0.1:{wish('port')}"}}
    return json.dumps({"clusters": [cluster]})


def kind(first, second, *words):
    given = dict(options(words))
    name = given["--name"]
    if (first, second) == ("get", "kubeconfig"):
        return print(kubeconfig(name))
    sys.stderr.write(f'Creating cluster "{name}" ...\n')
    image = given.get("--image", "kindest/node:default")
    sys.stderr.write(f" • Ensuring node image ({image}) 🖼  ...\n")
    document = json.loads(Path(given["--config"]).read_text())
    (FOLDER / "configuration.json").write_text(json.dumps(document))
    sys.stderr.write(" ✓ Ensuring node image\n • Preparing nodes 📦   ...\n")
    sys.stderr.flush()
    counts: dict[str, int] = {}
    for node in document["nodes"]:
        role = node["role"]
        counts[role] = counts.get(role, 0) + 1
        mounts = [mount["containerPath"] for mount in node.get("extraMounts", ())]
        with world() as state:
            if any(each["Name"] == f"/{name}-{role}" for each in state["containers"]) and counts[role] == 1:
                fail(f'ERROR: failed to create cluster: node(s) already exist for a cluster with the name "{name}"')
            state["containers"].append(container(name, role, number=counts[role], mounts=mounts, image=image))
    while wish("create-hangs"):
        time.sleep(0.05)
    if wish("create-fails"):
        fail(wish("create-fails"))
    config = Path(given["--kubeconfig"])
    config.touch(mode=0o600)
    config.write_text(f"{kubeconfig(name)}\n")
    return None


if __name__ == "__main__":
    program = Path(sys.argv[0]).name
    with (FOLDER / "calls").open("a") as calls:
        calls.write(f"{program} {' '.join(sys.argv[1:])}\n")
    {"docker": docker, "kind": kind}[program](*sys.argv[1:])

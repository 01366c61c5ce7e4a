"""What two clusters of the same Kubernetes version and baseline may legitimately differ in, taken out of a state.

Found by comparing fresh clusters: everything else in them is the same to the byte. The one rule: nothing is left out
that can be compared. A value that is a cluster's own is put into words that are the same in any cluster (a UID becomes
the name of what it identifies, a Service address its place in the cluster's range), so that a wrong one still shows;
only times are given up, and each place is named here with its reason.
"""

from __future__ import annotations

import copy
import hashlib
import ipaddress
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from pytest_vcluster.comparison.state import ApiState, Object

TIME = "<a time>"
_UID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_IP = r"(?<![0-9.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![0-9]|\.[0-9])"
_DIGEST = r"(?<=:)[0-9a-f]{24}(?![0-9a-f])"
_OWN = re.compile(f"{_UID}|{_IP}|{_DIGEST}")
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\s*", re.DOTALL)
_SERVICE_RANGES = "servicecidrs.networking.k8s.io"
# From 1.37 on the controller manager publishes the cluster's authority in one whose name ends with a digest of it.
_TRUST_BUNDLES = "clustertrustbundles.certificates.k8s.io"

# Each cluster has authorities of its own. Which of the several a ConfigMap holds is compared.
_WITH_CERTIFICATES = re.compile(r"[^/]+/kube-root-ca\.crt|kube-system/extension-apiserver-authentication")
# When the node was made on the host, and when its kubelet was heard last.
_NODE_TIMES = ("lastHeartbeatTime", "lastTransitionTime")
# Those of nodes are counted through the whole run; who speaks for their kubelets listens elsewhere for each cluster.
_ADDRESSES = {"InternalIP": "<the node's address>", "Kubelet": "<the kubelet's address>"}
# How the machine is reached, not what is served.
_OF_THE_MACHINE = "serverAddressByClientCIDRs"


def comparable(state: ApiState) -> ApiState:
    """The same state in words that any cluster would use."""
    objects = json.loads(_OWN.sub(_words_for(state.objects), json.dumps(state.objects)))
    certificates: dict[str, str] = {}
    for name, config_map in sorted(objects.get("configmaps", {}).items()):
        if _WITH_CERTIFICATES.fullmatch(name):
            _name_certificates(name, config_map.get("data") or {}, certificates)
    for name, bundle in sorted(objects.get(_TRUST_BUNDLES, {}).items()):
        _name_certificates(name, bundle["spec"], certificates)
    for found in objects.values():
        for each in found.values():
            _anyones(each["metadata"])
    nodes = objects.get("nodes", {})
    objects |= {"nodes": {name: _any_node(node) for name, node in nodes.items()}} if nodes else {}
    return replace(
        state,
        objects=objects,
        discovery={
            path: {key: value for key, value in document.items() if key != _OF_THE_MACHINE}
            for path, document in state.discovery.items()
        },
    )


def _words_for(objects: Mapping[str, Mapping[str, Object]]) -> Callable[[re.Match[str]], str]:
    """What to write in place of a UID or an address."""
    cidrs = objects.get(_SERVICE_RANGES, {}).get("kubernetes", {}).get("spec", {}).get("cidrs") or ()
    ranges = [ipaddress.ip_network(cidr) for cidr in cidrs]
    words: dict[str, str] = {
        hashlib.sha256(each["spec"].get("trustBundle", "").encode()).hexdigest()[
            :24
        ]: "<the digest of its certificates>"
        for each in objects.get(_TRUST_BUNDLES, {}).values()
    }

    def word(match: re.Match[str]) -> str:
        text = match.group()
        if text not in words:
            words[text] = _place_of(text, ranges)
        return words[text]

    for kind, found in objects.items():
        for name, each in found.items():
            words[each["metadata"].get("uid", "")] = f"<the uid of {kind} {_OWN.sub(word, name)}>"
    return word


def _place_of(text: str, ranges: list[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> str:
    """A Service address as its place in the cluster's range; any other text as it is."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return text
    return next(
        (f"<service address {int(address) - int(own.network_address)}>" for own in ranges if address in own), text
    )


def _name_certificates(name: str, data: dict[str, Any], words: dict[str, str]) -> None:
    """Write where each certificate was seen first in its place."""

    def word(match: re.Match[str]) -> str:
        return words.setdefault(match.group().strip(), f"<the certificate of {name} {key}>")

    for key, value in data.items():
        data[key] = _CERTIFICATE.sub(word, value)


def _anyones(metadata: dict[str, Any]) -> None:
    """Take out what the server writes into every object of its own accord."""
    metadata.pop("resourceVersion", None)
    # A template's objects are as old as the template; what a cluster makes itself, and the objects of its baseline,
    # are as old as the cluster.
    _forget(metadata, "creationTimestamp")
    for entry in metadata.get("managedFields") or ():
        _forget(entry, "time")


def _any_node(node: Object) -> Object:
    """A node without its times, and with any addresses."""
    spec, status = node.get("spec") or {}, node.get("status") or {}
    own = {cidr: "<the node's pod range>" for cidr in (spec.get("podCIDR"), *(spec.get("podCIDRs") or ())) if cidr}
    own |= {
        each.get("address", "<none>"): _ADDRESSES[each["type"]]
        for each in status.get("addresses") or ()
        if each.get("type") in _ADDRESSES
    }
    if own:
        pattern = re.compile(rf"(?<![0-9.])(?:{'|'.join(re.escape(text) for text in own)})(?![0-9.])")
        plain: dict[str, Any] = json.loads(pattern.sub(lambda match: own[match.group()], json.dumps(node)))
    else:
        plain = copy.deepcopy(dict(node))
    kubelet = ((plain.get("status") or {}).get("daemonEndpoints") or {}).get("kubeletEndpoint") or {}
    if kubelet.get("Port"):
        kubelet["Port"] = "<the kubelet's port>"
    for condition in (plain.get("status") or {}).get("conditions") or ():
        for key in _NODE_TIMES:
            _forget(condition, key)
    return plain


def _forget(holder: dict[str, Any], key: str) -> None:
    if holder.get(key):
        holder[key] = TIME

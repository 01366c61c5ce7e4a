"""Blocks of Service addresses: which there are on a host, and who gets one."""

import ipaddress
import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_vcluster.controlplane.networks import KIND_SERVICE_RANGE
from pytest_vcluster.errors import ApiError, ProvisionError
from pytest_vcluster.hosts.in_cluster import release
from pytest_vcluster.hosts.in_cluster.blocks import blocks


def of(host_range, seed=0):
    return list(blocks(host_range, random.Random(seed)))


@given(prefix=st.integers(12, 27), seed=st.integers(0, 5))
def test_blocks_lie_in_the_hosts_range_apart_from_each_other_and_from_its_first_addresses(prefix, seed):
    host = ipaddress.IPv4Network(f"10.96.0.0/{prefix}")
    found = of(str(host), seed)
    networks = sorted(ipaddress.IPv4Network(block.cidr) for block in found)
    assert found
    assert all(network.subnet_of(host) for network in networks)
    assert not any(one.overlaps(other) for one, other in itertools.pairwise(networks))
    assert host.network_address + 1 not in networks[0]
    for block in found:
        network = ipaddress.IPv4Network(block.cidr)
        assert str(network.network_address + 1) == block.kubernetes_ip
        assert ipaddress.IPv4Address(block.dns_ip) in network


def test_in_the_range_of_our_kind_clusters_states_can_be_moved():
    found = of(KIND_SERVICE_RANGE)
    assert len(found) == 144
    assert all(block.service_range is not None and block.service_range.cidr == block.cidr for block in found)


def test_chance_decides_the_order():
    assert of("10.96.0.0/16", 1) != of("10.96.0.0/16", 2)
    assert sorted(of("10.96.0.0/16", 1), key=str) == sorted(of("10.96.0.0/16", 2), key=str)


@pytest.mark.parametrize("host_range", ["10.96.0.0/28", "fd00::/108", "what"])
def test_ranges_without_room_are_refused(host_range):
    with pytest.raises(ValueError):
        of(host_range)


class Allocator:
    """A host that gives every address once."""

    def __init__(self, taken=()):
        self.taken = set(taken)
        self.asked = []

    def call(self, method, path, body):
        assert (method, path) == ("POST", "/api/v1/namespaces/ns/services")
        address = body["spec"]["clusterIP"]
        self.asked.append(address)
        if address in self.taken:
            raise ApiError("spec.clusterIPs: Invalid value: provided IP is already allocated", status=422)
        self.taken.add(address)
        return {"metadata": {"uid": f"uid-{address}"}}


def service(block):
    return {"spec": {"clusterIP": block.kubernetes_ip}}


def test_the_first_free_block_is_taken():
    candidates = of("10.96.0.0/16")
    host = Allocator(taken=[candidates[0].kubernetes_ip, candidates[1].kubernetes_ip])
    taken = release.take_block(host, "ns", candidates, service)
    assert taken.block == candidates[2]
    assert taken.uid == f"uid-{candidates[2].kubernetes_ip}"


def test_a_full_host_is_an_error_that_names_leftovers():
    candidates = of("10.96.0.0/26")
    host = Allocator(taken=[block.kubernetes_ip for block in candidates])
    with pytest.raises(ProvisionError, match=r"(?s)No block of Service addresses is free.*pytest-vcluster sweep"):
        release.take_block(host, "ns", candidates, service)


@pytest.mark.filterwarnings("error")
def test_other_refusals_are_told_as_they_are():
    class Refusing(Allocator):
        def call(self, *_):
            raise ApiError("services is forbidden", status=403)

    with pytest.raises(ApiError, match="forbidden"):
        release.take_block(Refusing(), "ns", of("10.96.0.0/24"), service)

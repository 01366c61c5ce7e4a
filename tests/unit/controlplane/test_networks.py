import ipaddress
import itertools

from hypothesis import given
from hypothesis import strategies as st

from pytest_vcluster.controlplane.networks import (
    HOST_SERVICE_RANGE,
    SERVICE_RANGES,
    ServiceRange,
    mover,
    node_ip,
    pod_cidr,
)

ranges = st.sampled_from(SERVICE_RANGES)


def test_no_two_service_ranges_overlap_and_all_are_the_hosts():
    networks = [ipaddress.ip_network(service_range.cidr) for service_range in SERVICE_RANGES]
    host = ipaddress.ip_network(HOST_SERVICE_RANGE)
    assert all(network.subnet_of(host) for network in networks)
    assert not any(a.overlaps(b) for a, b in itertools.combinations(networks, 2))


def test_the_hosts_own_first_address_is_nobodys():
    assert not any(ipaddress.ip_address("10.64.0.1") in ipaddress.ip_network(r.cidr) for r in SERVICE_RANGES)


@given(ranges, ranges, st.integers(0, 4095))
def test_moving_an_address_keeps_its_place_in_the_range_and_its_length(origin, target, offset):
    network = ipaddress.ip_network(origin.cidr)
    address = str(network[offset]).encode()
    moved = mover(origin, target)(b"\x0a" + address + b"\x12rest")
    assert moved == b"\x0a" + str(ipaddress.ip_network(target.cidr)[offset]).encode() + b"\x12rest"
    assert len(moved) == len(address) + 6


@given(ranges, ranges, st.text(alphabet="0123456789.", max_size=30))
def test_what_is_no_address_of_the_range_stays(origin, target, text):
    raw = text.encode()
    if f"10.{origin.second}." not in text:
        assert mover(origin, target)(raw) == raw


def test_a_longer_number_is_not_taken_for_an_address():
    move = mover(ServiceRange(100, 112), ServiceRange(101, 128))
    assert move(b"210.100.112.5 10.100.1123") == b"210.100.112.5 10.100.1123"


def test_pod_ranges_and_node_addresses_are_distinct_and_apart():
    pods = [ipaddress.ip_network(pod_cidr(number)) for number in range(0, 32768, 7)]
    nodes = [ipaddress.ip_address(node_ip(number)) for number in range(32768)]
    assert len(set(pods)) == len(pods)
    assert len(set(nodes)) == len(nodes)
    host, everything = ipaddress.ip_network(HOST_SERVICE_RANGE), ipaddress.ip_network("10.128.0.0/9")
    assert all(pod.subnet_of(everything) for pod in pods)
    assert not any(node in host or node in everything for node in nodes)

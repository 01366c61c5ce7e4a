import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_vcluster.service.capacity import (
    BASE_BYTES,
    CLUSTER_BYTES,
    free_bytes,
    pool_size,
    starts_at_once,
    usable_cores,
)

GIB = 1 << 30


def test_cores_decide_where_memory_is_plenty():
    assert pool_size(asked=None, cores=2, free_bytes=64 * GIB).clusters == 6


def test_memory_decides_where_it_is_scarce_and_nobody_is_bothered():
    size = pool_size(asked=None, cores=16, free_bytes=2 * GIB)
    assert 1 <= size.clusters < 8
    assert not size.note


def test_too_little_memory_for_what_was_asked_runs_smaller_and_says_so():
    size = pool_size(asked=50, cores=2, free_bytes=4 * GIB)
    assert size.clusters < 50
    assert f"pool of {size.clusters} instead of 50" in size.note
    assert "MB" in size.note


@given(st.one_of(st.none(), st.integers(1, 1000)), st.integers(1, 128), st.integers(0, 1 << 42))
def test_there_is_always_one_and_never_more_than_memory_carries(asked, cores, free):
    size = pool_size(asked=asked, cores=cores, free_bytes=free)
    assert size.clusters >= 1
    assert size.clusters == 1 or size.clusters * CLUSTER_BYTES + BASE_BYTES <= free


@pytest.mark.parametrize(("cores", "starts"), [(1, 1), (2, 1), (4, 3)])
def test_starting_leaves_a_core_to_the_tests(cores, starts):
    assert starts_at_once(cores) == starts
    assert usable_cores() >= 1


def test_a_containers_limit_counts_where_it_is_lower(tmp_path):
    meminfo, limit, unlimited = (tmp_path / name for name in ("meminfo", "limit", "unlimited"))
    meminfo.write_text("MemTotal: 1 kB\nMemAvailable:   2048 kB\n")
    limit.write_text("1000\n")
    unlimited.write_text("max\n")
    assert free_bytes(meminfo=meminfo, limits=[str(unlimited), str(tmp_path / "none")]) == 2048 * 1024
    assert free_bytes(meminfo=meminfo, limits=[str(limit)]) == 1000

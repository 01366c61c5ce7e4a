import pytest

from pytest_vcluster.service.capacity import (
    BASE_BYTES,
    CLUSTER_BYTES,
    Memory,
    auto_workers,
    cgroup_limits,
    memory,
    parse_vm_stat,
    pool_limits,
    smallest,
)

GB = 2**30


def room_for(clusters):
    """A machine of 8 GB whose free memory is just enough for that many clusters."""
    return Memory(total=8 * GB, available=int(0.15 * 8 * GB) + BASE_BYTES + clusters * CLUSTER_BYTES + 1)


def test_the_asked_size_is_taken_where_there_is_memory():
    limits, notes = pool_limits(cores=8, memory=room_for(8), asked=8)
    assert (limits.size, limits.spares, limits.starts, notes) == (8, 8, 7, [])


def test_too_little_memory_makes_the_pool_smaller_and_says_so():
    limits, notes = pool_limits(cores=8, memory=room_for(3), asked=8)
    assert limits.size == 3
    assert notes[0].startswith("pool reduced from 8 to 3: ")
    assert "250 MB" in notes[0]


def test_there_is_always_one_cluster():
    limits, notes = pool_limits(cores=1, memory=Memory(total=GB, available=0), asked=None)
    assert (limits.size, limits.spares, limits.starts) == (1, 1, 1)
    assert "little memory" in notes[0]


@pytest.mark.parametrize(("cores", "starts"), [(1, 1), (2, 1), (3, 2), (8, 7)])
def test_one_core_is_left_for_the_tests(cores, starts):
    assert pool_limits(cores=cores, memory=None, asked=None)[0].starts == starts


def test_without_a_wish_spares_follow_the_cores_and_memory_limits_the_rest():
    limits, notes = pool_limits(cores=2, memory=room_for(20), asked=None)
    assert (limits.size, limits.spares, notes) == (20, 2, [])


def test_auto_workers_are_limited_by_cores_and_memory():
    assert auto_workers(cores=4, memory=Memory(total=64 * GB, available=60 * GB)) == 4
    assert auto_workers(cores=64, memory=Memory(total=8 * GB, available=4 * GB)) == 5
    assert auto_workers(cores=4, memory=Memory(total=GB, available=0)) == 1
    assert auto_workers(cores=4, memory=None) == 4


def test_a_container_has_what_its_limit_leaves():
    machine = Memory(total=64 * GB, available=60 * GB)
    assert smallest(machine, [(4 * GB, GB)]) == Memory(total=4 * GB, available=3 * GB)
    assert smallest(machine, [(2**63, GB)]) == machine


@pytest.fixture
def system(tmp_path):
    def write(path, text):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)

    write("proc/meminfo", "MemTotal:       16000000 kB\nMemAvailable:   12000000 kB\nHugePages_Total:       0\n")
    return tmp_path, write


def test_memory_is_read_from_linux(system):
    assert memory(root=system[0]) == Memory(total=16000000 * 1024, available=12000000 * 1024)


def test_limits_of_cgroup_version_2_count_on_all_levels(system):
    root, write = system
    write("proc/self/cgroup", "0::/pods/mine\n")
    write("sys/fs/cgroup/pods/mine/memory.max", "max\n")
    write("sys/fs/cgroup/pods/mine/memory.current", "5\n")
    write("sys/fs/cgroup/pods/memory.max", "1000\n")
    write("sys/fs/cgroup/pods/memory.current", "700\n")
    write("sys/fs/cgroup/pods/memory.stat", "anon 400\ninactive_file 300\n")
    assert cgroup_limits(root) == [(1000, 400)]
    assert memory(root=root) == Memory(total=1000, available=600)


def test_limits_of_cgroup_version_1_count(system):
    root, write = system
    write("proc/self/cgroup", "5:cpu,cpuacct:/x\n4:memory:/outside/the/container\n")
    write("sys/fs/cgroup/memory/memory.limit_in_bytes", "2000\n")
    write("sys/fs/cgroup/memory/memory.usage_in_bytes", "500\n")
    assert cgroup_limits(root) == [(2000, 500)]


def test_an_unknown_system_has_no_memory_to_tell_of(tmp_path):
    assert memory(root=tmp_path) is None


def test_memory_is_read_from_macos():
    text = (
        "Mach Virtual Memory Statistics: (page size of 16384 bytes)\n"
        "Pages free:                                3.\nPages active:                           100.\n"
        "Pages inactive:                            2.\nPages speculative:                        1.\n"
        "Pages purgeable:                           4.\n"
    )
    assert parse_vm_stat(text) == 10 * 16384

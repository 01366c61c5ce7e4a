"""The pure functions behind the hooks."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pytest_vcluster.errors import ManifestError
from pytest_vcluster.failures import slug
from pytest_vcluster.manifests import find_manifests
from pytest_vcluster.marker import merge, pinned_version
from pytest_vcluster.progress import INTERVAL_SECONDS, PATIENCE_SECONDS, Progress
from pytest_vcluster.report import Row
from pytest_vcluster.report.page import read_page, render_page
from pytest_vcluster.summary import median, spell, summary_lines
from pytest_vcluster.workers import SHARED_BYTES, WORKER_BYTES, affordable, free_memory_bytes

TOTALS = {"leases": 3, "fresh": 2, "recycled": 1, "retired": 2, "versions": ["v1.36.4"], "pool": 2, "host": "embedded"}


def test_markers_merge_closest_first_argument_by_argument() -> None:
    assert merge([((), {"nodes": 1}), ((), {"nodes": 2, "version": "1.36"})]) == {"nodes": 1, "version": "1.36"}


@pytest.mark.parametrize("mark", [(("1.36",), {}), ((), {"versions": "1.36"})])
def test_a_marker_that_the_signature_does_not_take_is_refused(mark: tuple[tuple[str, ...], dict[str, object]]) -> None:
    with pytest.raises(TypeError):
        merge([((), {}), mark])
    assert pinned_version([mark]) is None


def test_a_pinned_version_is_a_full_one() -> None:
    assert pinned_version([((), {}), ((), {"version": "1.35"})]) == "v1.35.8"
    assert pinned_version([]) is None


@example("", ".")
@example("a", "a-")
@example("a-b", "a--b")
@given(st.text(), st.text())
def test_the_folders_of_parameters_differ_as_the_parameters_do(one: str, other: str) -> None:
    folders = {slug(f"tests/test_x.py::test_y[{parameter}]") for parameter in (one, other)}
    assert len(folders) == len({one, other})


@given(st.text(min_size=1))
def test_a_folder_name_is_a_single_short_name(nodeid: str) -> None:
    name = slug(f"test_x.py::{nodeid}")
    assert len(name) <= 100
    assert Path(name).name == name
    assert name.isascii()


def test_a_folder_name_can_be_recognised() -> None:
    assert slug("tests/unit/test_x.py::TestA::test_b[v1.36.4]") == "tests-unit-test_x.py-TestA-test_b-v1.36.4"


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_progress_is_silent_while_things_are_quick() -> None:
    shown: list[str] = []
    clock = Clock()
    progress = Progress(shown.append, clock=clock)
    progress("starting")
    clock.now += PATIENCE_SECONDS - 0.1
    progress("started")
    assert shown == []


def test_progress_tells_news_now_and_then() -> None:
    shown: list[str] = []
    clock = Clock()
    progress = Progress(shown.append, clock=clock)
    for number in range(20):
        progress(f"step {number}")
        clock.now += 0.5
    assert shown == ["step 4", "step 12"]
    clock.now += INTERVAL_SECONDS
    progress("step 12")
    assert shown == ["step 4", "step 12"]


@pytest.mark.parametrize(
    ("free", "workers"),
    [
        (None, 8),
        (0, 1),
        (SHARED_BYTES + 3 * WORKER_BYTES, 3),
        (SHARED_BYTES + 3 * WORKER_BYTES - 1, 2),
        (2**50, 8),
    ],
)
def test_there_are_as_many_workers_as_memory_allows(free: int | None, workers: int) -> None:
    assert affordable(8, free_bytes=free) == workers


def test_free_memory_is_what_the_system_says(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 16 kB\nMemFree: 1 kB\nMemAvailable:    8 kB\n")
    assert free_memory_bytes(meminfo) == 8192
    guessed = free_memory_bytes(tmp_path / "none")
    assert guessed is None or guessed > 0


def test_a_run_without_leases_has_no_summary() -> None:
    assert summary_lines(None) == []
    assert summary_lines({"leases": 0, "notes": ["x"]}) == []


def test_a_summary_tells_times_deaths_notes_and_trouble() -> None:
    lines = summary_lines({**TOTALS, "acquire_seconds": [3.0, 0.02, 0.04], "deaths": 1, "notes": ["n"]}, ["t"])
    assert lines[0] == "3 leases on host embedded (v1.36.4): 2 fresh, 1 recycled, 2 retired"
    assert "time to a pristine cluster: p50 40 ms, max 3.0 s" in lines
    assert lines[-3:] == ["deaths of components: 1", "note: n", "t"]


def test_the_median_is_in_the_middle() -> None:
    assert (median([1.0]), median([1.0, 3.0]), median([1.0, 2.0, 9.0])) == (1.0, 2.0, 2.0)


@pytest.mark.parametrize(("seconds", "text"), [(0.0004, "0 ms"), (0.0254, "25 ms"), (1.0, "1.0 s"), (75.0, "75.0 s")])
def test_durations_read_well(seconds: float, text: str) -> None:
    assert spell(seconds) == text


def test_a_page_shows_text_as_text_and_gives_its_data_back(tmp_path: Path) -> None:
    name = "test_x[<script>alert('&')</script>]"
    cluster = {"cluster": "vc-1", "version": "v1.36.4", "waited": 0.02, "evidence": str(tmp_path / "left" / "x")}
    row = Row(test=name, outcome="failed", seconds=1.0, clusters=(cluster,))
    text = render_page([row], TOTALS, base=tmp_path)
    assert "<script>alert" not in text
    assert '<a href="left/x">evidence</a>' in text
    page = tmp_path / "page.html"
    page.write_text(text)
    rows, totals = read_page(page)
    assert (rows[0]["test"], totals) == (name, TOTALS)


def test_another_file_is_no_page(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("<html></html>")
    with pytest.raises(ValueError, match="is no report of pytest-vcluster"):
        read_page(page)


def test_manifests_are_found_in_the_first_place_that_has_them(tmp_path: Path) -> None:
    near, far = tmp_path / "near", tmp_path / "far"
    for folder, names in ((near, ["a.yaml"]), (far, ["a.yaml", "b.yml", "c.json", "d.txt"])):
        folder.mkdir()
        for name in names:
            (folder / name).touch()
    assert find_manifests("a.yaml", bases=(near, far)) == (near / "a.yaml",)
    assert find_manifests("b.*", bases=(near, far)) == (far / "b.yml",)
    assert find_manifests(str(far), bases=(near,)) == (far / "a.yaml", far / "b.yml", far / "c.json")
    with pytest.raises(ManifestError, match=r"'x\*' names no manifest .*; looked in .*near and .*far"):
        find_manifests("x*", bases=(near, far))
    with pytest.raises(ManifestError, match="is a URL"):
        find_manifests("https://example.com/a.yaml", bases=(near,))

"""CPU time of everything that came of a program."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench import spent

pytestmark = pytest.mark.skipif(not spent.is_supported(), reason="only Linux lets a process adopt others")

REPOSITORY = Path(__file__).parents[3]
# A child that burns CPU after its parent has ended, as the run service may.
LEAVES_AN_ORPHAN = """\
import os, time
if os.fork() == 0:
    time.sleep(0.2)
    while time.process_time() < 0.5:
        pass
    os._exit(0)
os._exit({code})
"""


@pytest.mark.parametrize("code", [0, 3])
def test_an_orphan_counts_and_the_exit_code_is_the_programs(tmp_path: Path, code: int) -> None:
    (tmp_path / "program.py").write_text(LEAVES_AN_ORPHAN.format(code=code))
    note = tmp_path / "spent.json"
    done = subprocess.run(
        [sys.executable, "-m", "bench.spent", str(note), "program"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{REPOSITORY}{os.pathsep}{tmp_path}"},
        timeout=60,
        check=False,
    )
    assert done.returncode == code
    # 0.5 s are the orphan's own; Python's start comes on top.
    assert 0.5 <= spent.seconds(note) < 5

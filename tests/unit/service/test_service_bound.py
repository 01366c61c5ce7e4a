import os
import subprocess
import sys
from pathlib import Path

import pytest
from service_fakes import until

from pytest_vcluster.service import bound
from pytest_vcluster.service.reaper import started

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="there is no death signal elsewhere")
SETPRIV = bound.find_setpriv()
WAYS = [
    pytest.param(SETPRIV, id="setpriv", marks=pytest.mark.skipif(SETPRIV is None, reason="no setpriv that fits")),
    pytest.param(None, id="python"),
]


@pytest.mark.parametrize("setpriv", WAYS)
def test_the_program_gets_its_arguments_as_they_are(setpriv):
    program = ["/bin/echo", "-n", "a b", "", "$PPID", "--", "'"]
    told = subprocess.check_output([*bound.words(os.getpid(), setpriv=setpriv), *program], text=True)
    assert told == "a b  $PPID -- '"


@pytest.mark.parametrize("setpriv", WAYS)
def test_the_program_dies_with_its_parent(setpriv):
    parent = (
        "import os, subprocess, sys, time\n"
        "from pytest_vcluster.service import bound\n"
        f"words = bound.words(os.getpid(), setpriv={setpriv!r})\n"
        "print(subprocess.Popen([*words, '/bin/sleep', '1000'], stdout=-3).pid, flush=True)\n"
        "time.sleep(1000)\n"
    )
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True) as popen:
        child = int(popen.stdout.readline())
        until(lambda: Path(f"/proc/{child}/cmdline").read_bytes().startswith(b"/bin/sleep"))
        popen.kill()
        until(lambda: not started(child))


@pytest.mark.parametrize("setpriv", WAYS)
def test_the_program_does_not_begin_when_the_parent_is_gone(setpriv, tmp_path):
    words = bound.words(os.getppid(), setpriv=setpriv)  # not its parent, as if that had died
    assert subprocess.run([*words, "/bin/touch", tmp_path / "made"], check=False).returncode == 1
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("setpriv", WAYS)
def test_a_program_that_cannot_be_executed_says_so(setpriv):
    words = bound.words(os.getpid(), setpriv=setpriv)
    ran = subprocess.run([*words, "/no/such/program"], capture_output=True, text=True, check=False)
    assert ran.returncode
    assert "/no/such/program" in ran.stderr


@pytest.mark.parametrize(
    "answer", ["echo 'unrecognized option: pdeathsig'; exit 1", "echo 'Parent death signal: [none]'"]
)
def test_a_setpriv_that_cannot_do_it_is_none(answer, tmp_path, monkeypatch):
    fake = tmp_path / "setpriv"
    fake.write_text(f"#!/bin/sh\n{answer}\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert bound.find_setpriv() is None
    fake.unlink()
    assert bound.find_setpriv() is None

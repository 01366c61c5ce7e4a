"""The program that becomes another one which can't change anything: run, and looked at from inside."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_vcluster.controlplane import kwok

SCRIPT = Path(kwok.CONFINED)
ATTEMPTS = {
    "make a file": "open('new', 'w')",
    "overwrite a file": "open('there', 'w')",
    "append to a file": "open('there', 'a')",
    "truncate a file": "os.truncate('there', 0)",
    "remove a file": "os.remove('there')",
    "rename a file": "os.rename('there', 'elsewhere')",
    "make a link": "os.link('there', 'linked')",
    "make a symbolic link": "os.symlink('there', 'linked')",
    "make a directory": "os.mkdir('made')",
    "remove a directory": "os.rmdir('folder')",
    "make a pipe": "os.mkfifo('pipe')",
    "change a mode": "os.chmod('there', 0o777)",
    "change a mode by descriptor": "os.fchmod(os.open('there', os.O_RDONLY), 0o777)",
    "change an owner": "os.chown('there', os.getuid(), os.getgid())",
    "change a time": "os.utime('there')",
    "set an attribute": "os.setxattr('there', 'user.a', b'b')",
    "leave its group": "os.setpgid(0, 0)",
    "leave its session": "os.setsid()",
    "signal another process": "os.kill(int(sys.argv[1]), 0)",
}
TRY = """
import os, sys
try:
    {attempt}
except PermissionError:
    sys.exit(0)
sys.exit("it could")
"""


def run(code, *arguments, cwd):
    command = [sys.executable, "-I", "-S", str(SCRIPT), "CONFINED", sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=30, check=False)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "there").write_text("untouched")
    (tmp_path / "folder").mkdir()
    return tmp_path


@pytest.fixture
def confined(folder):
    """The folder, where this system has all the locks."""
    seen = run("import sys; print(sys.argv[1:])", cwd=folder)
    if "not confined" in seen.stderr:
        pytest.skip(seen.stderr.strip())
    return folder


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_nothing_can_be_changed(confined, attempt):
    seen = run(TRY.format(attempt=ATTEMPTS[attempt]), str(os.getpid()), cwd=confined)
    assert (seen.returncode, seen.stderr) == (0, "")
    assert (confined / "there").read_text() == "untouched"
    assert sorted(path.name for path in confined.iterdir()) == ["folder", "there"]


def test_a_child_is_confined_too(confined):
    code = "import subprocess; raise SystemExit(subprocess.run(['touch', 'new']).returncode)"
    assert run(code, cwd=confined).returncode == 1
    assert not (confined / "new").exists()


def test_reading_writing_to_nowhere_and_signals_to_children_are_left(confined):
    code = (
        "import subprocess; open('/dev/null', 'w').write(open('there').read());"
        "child = subprocess.Popen(['sleep', '60']); child.kill(); print(child.wait())"
    )
    assert run(code, cwd=confined).stdout == "-9\n"


def test_it_is_told_that_it_is_confined(confined):
    assert run("import sys; print(sys.argv[1:])", "a", cwd=confined).stdout == "['a', 'CONFINED']\n"


def test_a_root_user_is_one_in_name_only(confined):
    status = run("print(open('/proc/self/status').read())", cwd=confined).stdout
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert int(fields["CapEff"], 16) == 0
    assert fields["NoNewPrivs"] == "1"


def test_without_a_lock_the_program_runs_and_is_told_nothing(folder):
    code = (
        "import os, runpy, sys, types; os.uname = lambda: types.SimpleNamespace(machine='pdp11');"
        f"sys.argv = ['x', 'CONFINED', sys.executable, '-c', 'import sys; print(sys.argv[1:])', 'a'];"
        f"runpy.run_path({str(SCRIPT)!r}, run_name='__main__')"
    )
    seen = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=folder, check=True)
    assert seen.stdout == "['a']\n"
    assert "not confined, so commands in simulated pods are not run: it takes Linux on x86_64 or aarch64" in seen.stderr

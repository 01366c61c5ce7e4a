"""The cache folder: one folder per version, and beside each binary a record of what it must be.

`<cache>/bin/<version>/<component>` with `.<component>.json` (digest, size, time). The one rule: a binary enters by a
rename from `<cache>/staging` on the same file system, and counts only with its record, written last; so whoever is
killed at whatever moment leaves either a whole binary or none. At use size and time are compared, the digest only when
they differ; `verify` reads everything.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from pytest_vcluster.toolchain.model import Sources, Wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What a cached binary must be."""

    sha256: str
    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What `verify` found out about one cached file."""

    path: Path
    intact: bool
    reason: str
    """Empty when intact."""


def place(cache: Path, wanted: Wanted) -> Path:
    """Where `wanted` is when it is in the cache."""
    return cache / "bin" / wanted.version / wanted.component


def look(cache: Path, wanted: Wanted) -> Path | None:
    """The cached binary, when it is there and is what was once put there."""
    path = place(cache, wanted)
    record = _record_of(path)
    if record is None or _why_damaged(path, record, thorough=False):
        return None
    return path


def why_not(cache: Path, wanted: Wanted) -> str:
    """Why `look` finds nothing, in words that start with the path."""
    path = place(cache, wanted)
    record = _record_of(path)
    if not path.exists():
        return f"{path}: not there"
    if record is None:
        return f"{path}: without its record, so left by something that was interrupted"
    return f"{path}: {_why_damaged(path, record, thorough=False) or 'there'}"


def install(cache: Path, wanted: Wanted, made: Path) -> Path:
    """Move the finished executable `made`, which lies in a staging folder, to its place."""
    path = place(cache, wanted)
    path.parent.mkdir(parents=True, exist_ok=True)
    digest = digest_of(made)
    with made.open("rb") as file:
        os.fsync(file.fileno())
    _record_path(path).unlink(missing_ok=True)
    made.replace(path)
    _write_record(path, digest)
    return path


@contextlib.contextmanager
def staging(cache: Path, name: str) -> Iterator[Path]:
    """An empty folder on the cache's file system, gone afterwards; sweeps what interrupted holders of `name` left.

    Only for the holder of the lock of the same name.
    """
    import tempfile  # noqa: PLC0415 - start-up time: a run whose binaries are here needs none

    home = cache / "staging" / name
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    try:
        # A name of its own each time: a killed predecessor's last writes must not meet ours.
        yield Path(tempfile.mkdtemp(dir=home))
    finally:
        shutil.rmtree(home, ignore_errors=True)


def verify(sources: Sources) -> list[Verdict]:
    """Read every cached binary in full and compare its digest with its record."""
    verdicts = []
    for path in sorted((sources.cache / "bin").glob("*/*")):
        if path.name.startswith("."):
            continue
        record = _record_of(path)
        reason = "it has no record" if record is None else _why_damaged(path, record, thorough=True)
        verdicts.append(Verdict(path=path, intact=not reason, reason=reason))
    return verdicts


def digest_of(path: Path) -> str:
    """The SHA-256 of a file."""
    import hashlib  # noqa: PLC0415 - loads OpenSSL, and most looks into the cache need no digest

    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _why_damaged(path: Path, record: Record, *, thorough: bool) -> str:
    try:
        stat = path.stat()
        if stat.st_size != record.size:
            return f"damaged: {stat.st_size} bytes instead of {record.size}"
        touched = stat.st_mtime_ns != record.mtime_ns
        if (touched or thorough) and digest_of(path) != record.sha256:
            return "damaged: its SHA-256 is not the recorded one"
        if not os.access(path, os.X_OK):
            path.chmod(0o755)
        if touched:
            # Copied or restored by someone, but the same: note its new time, so that the next look is quick again.
            with contextlib.suppress(OSError):
                _write_record(path, record.sha256)
    except OSError as error:
        return f"{error.strerror}"
    return ""


def _record_path(path: Path) -> Path:
    return path.with_name(f".{path.name}.json")


def _record_of(path: Path) -> Record | None:
    try:
        document = json.loads(_record_path(path).read_bytes())
        return Record(sha256=str(document["sha256"]), size=int(document["size"]), mtime_ns=int(document["mtime_ns"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write_record(path: Path, digest: str) -> None:
    stat = path.stat()
    record = Record(sha256=digest, size=stat.st_size, mtime_ns=stat.st_mtime_ns)
    # The process id keeps two processes that note the same thing at once from writing into one file.
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    try:
        draft.write_text(json.dumps(asdict(record)), encoding="utf-8")
        draft.replace(_record_path(path))
    finally:
        draft.unlink(missing_ok=True)

"""The official download: where each component is published, and how its checksum is.

Kubernetes publishes a `.sha256` file beside each binary, kind and helm a `.sha256sum`, etcd one SHA256SUMS for its
archives; kwok publishes none, and GitHub itself tells the digest of every release asset. The one rule: nothing without
a matching checksum is ever kept.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import time
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfileobj

from pytest_vcluster.toolchain.failures import WayFailed
from pytest_vcluster.toolchain.machine import Target, readable_size, this_machine
from pytest_vcluster.toolchain.model import Component, Progress, Sources, Wanted
from pytest_vcluster.toolchain.sites import Cut

_MEGABYTE = 1_000_000
_CHECKSUM_LIMIT = 4 * _MEGABYTE


@dataclass(frozen=True, slots=True, kw_only=True)
class Artefact:
    """A published file: its address, the address of a document that tells its digest, the binary's place in it."""

    url: str
    checksum_url: str
    member: str | None = None
    """Path of the binary inside the archive; None when the file is the binary."""

    @property
    def name(self) -> str:
        """The file's own name, as checksum documents call it."""
        return self.url.rpartition("/")[2]


def artefact_of(wanted: Wanted, target: Target, sources: Sources) -> Artefact:
    """Where `wanted` is published for `target`."""
    version, system, architecture = wanted.version, target.system, target.architecture
    if wanted.component.is_kubernetes:
        url = f"{sources.k8s_mirror}/release/{version}/bin/{system}/{architecture}/{wanted.component}"
        return Artefact(url=url, checksum_url=f"{url}.sha256")
    if wanted.component is Component.ETCD:
        folder = f"{sources.github_mirror}/etcd-io/etcd/releases/download/{version}"
        name = f"etcd-{version}-{system}-{architecture}"
        ending = "tar.gz" if system == "linux" else "zip"
        return Artefact(url=f"{folder}/{name}.{ending}", checksum_url=f"{folder}/SHA256SUMS", member=f"{name}/etcd")
    if wanted.component is Component.HELM:
        url = f"{sources.helm_mirror}/helm-{version}-{system}-{architecture}.tar.gz"
        return Artefact(url=url, checksum_url=f"{url}.sha256sum", member=f"{system}-{architecture}/helm")
    if wanted.component is Component.KIND:
        url = f"{sources.github_mirror}/kubernetes-sigs/kind/releases/download/{version}/kind-{system}-{architecture}"
        return Artefact(url=url, checksum_url=f"{url}.sha256sum")
    repository = "kubernetes-sigs/kwok"
    url = f"{sources.github_mirror}/{repository}/releases/download/{version}/kwok-{system}-{architecture}"
    api = f"{sources.github_api}/repos/{repository}/releases/tags/{version}"
    return Artefact(url=url, checksum_url=api if sources.github_api else f"{url}.sha256")


def digest_in(document: bytes, name: str) -> str | None:
    """The SHA-256 of the file `name` that a checksum document tells, None when it does not.

    Understands a bare digest, the lines of sha256sum, and GitHub's description of a release.
    """
    text = document.decode("utf-8", errors="replace").strip()
    if text.startswith("{"):
        return _digest_in_release(text, name)
    lines = [line.split() for line in text.splitlines() if line.strip()]
    for fields in lines:
        if len(fields) == 2 and fields[1].lstrip("*").rpartition("/")[2] == name:
            return _hexadecimal(fields[0])
    return _hexadecimal(lines[0][0]) if len(lines) == 1 and len(lines[0]) == 1 else None


def download(wanted: Wanted, sources: Sources, staging: Path, progress: Progress) -> Path:
    """Download `wanted` into the folder `staging` and check it; returns the executable file. Raises WayFailed."""
    artefact = artefact_of(wanted, this_machine(), sources)
    digest = digest_in(_checksums(artefact.checksum_url, sources, progress), artefact.name)
    if digest is None:
        message = f"{artefact.checksum_url} tells no SHA-256 of {artefact.name}"
        raise WayFailed(message)
    file = staging / artefact.name
    try:
        _fetch(artefact.url, file, digest, wanted=wanted, sources=sources, progress=progress)
    except Cut as cut:
        progress(f"{wanted}: {cut}; trying once more")
        _fetch(artefact.url, file, digest, wanted=wanted, sources=sources, progress=progress)
    binary = file if artefact.member is None else _unpack(file, artefact.member, staging / f"{wanted.component}.bin")
    if not readable_size(binary):
        message = f"{artefact.url} holds an empty {wanted.component}"
        raise WayFailed(message)
    binary.chmod(0o755)
    return binary


def _checksums(url: str, sources: Sources, progress: Progress) -> bytes:
    with sources.sites.read(
        url, answer_seconds=sources.answer_seconds, stall_seconds=sources.stall_seconds, progress=progress
    ) as (_, chunks):
        document = b""
        for chunk in chunks:
            document += chunk
            if len(document) > _CHECKSUM_LIMIT:
                message = f"{url} is no checksum document: it is longer than {_CHECKSUM_LIMIT} bytes"
                raise WayFailed(message)
        return document


def _fetch(url: str, file: Path, digest: str, *, wanted: Wanted, sources: Sources, progress: Progress) -> None:
    with sources.sites.read(
        url, answer_seconds=sources.answer_seconds, stall_seconds=sources.stall_seconds, progress=progress
    ) as (size, chunks):
        whole = f"{size // _MEGABYTE} MB" if size else "unknown size"
        progress(f"{wanted}: downloading {url} ({whole})")
        running = hashlib.sha256()
        seen, told = 0, time.monotonic()
        with file.open("wb") as out:
            for chunk in chunks:
                out.write(chunk)
                running.update(chunk)
                seen += len(chunk)
                if time.monotonic() - told >= sources.report_seconds:
                    told = time.monotonic()
                    progress(f"{wanted}: downloaded {seen // _MEGABYTE} of {whole}")
    if running.hexdigest() != digest:
        file.unlink()
        message = f"{url} has the wrong checksum: SHA-256 {running.hexdigest()} instead of {digest}; thrown away"
        raise WayFailed(message)


def _unpack(archive: Path, member: str, to: Path) -> Path:
    try:
        if archive.name.endswith(".zip"):
            with zipfile.ZipFile(archive) as zipped, zipped.open(member) as source, to.open("wb") as out:
                copyfileobj(source, out)
        else:
            with tarfile.open(archive) as tarred:
                packed = tarred.extractfile(member)
                # None: a folder or the like has that name.
                with packed or io.BytesIO() as source, to.open("wb") as out:
                    copyfileobj(source, out)
    except (KeyError, EOFError, zlib.error, tarfile.TarError, zipfile.BadZipFile) as error:
        message = f"{archive.name} is no archive with {member} in it ({error})"
        raise WayFailed(message) from error
    archive.unlink()
    return to


def _digest_in_release(text: str, name: str) -> str | None:
    try:
        assets = json.loads(text).get("assets", [])
        told = next((asset.get("digest") for asset in assets if asset.get("name") == name), None)
    except (ValueError, AttributeError, TypeError):
        return None
    kind, _, digest = str(told).partition(":")
    return _hexadecimal(digest) if kind == "sha256" else None


def _hexadecimal(text: str) -> str | None:
    lowered = text.lower()
    return lowered if len(lowered) == 64 and set(lowered) <= set("0123456789abcdef") else None

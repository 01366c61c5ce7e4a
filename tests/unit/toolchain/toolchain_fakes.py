"""A download site and a Go that tests can tell what to get wrong."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

PROGRAM = b"#!/bin/sh\necho Kubernetes v1.36.4\n"

UPSTREAM_MOD = """module k8s.io/kubernetes

go 1.26.0

require (
\tgithub.com/google/uuid v1.6.0
\tk8s.io/api v0.0.0
\tk8s.io/kubelet v0.0.0 // indirect
\tk8s.io/klog/v2 v2.140.0
)

replace k8s.io/api => ./staging/src/k8s.io/api
"""

# Does what `go` does as far as the toolchain looks, told by files in its own folder what to get wrong.
FAKE_GO = """#!/bin/sh
home={home}
case "$1 $2" in
"env -json") printf '{{"GOVERSION":"%s","GOTOOLCHAIN":"%s"}}' "$(cat "$home/version")" "$(cat "$home/policy")" ;;
"mod download")
  if grep -qsx -- "${{4##*@}}" "$home/missing"; then
    printf '{{"Error":"%s: reading https://proxy/x.info: 404 Not Found"}}' "$4"; exit 1
  fi
  if [ -e "$home/unreachable" ]; then echo "dial tcp: lookup proxy.golang.org: no such host" >&2; exit 1; fi
  printf '{{"GoMod":"%s/upstream.mod"}}' "$home" ;;
"mod tidy") : > go.sum ;;
"list -deps") printf 'one\\ntwo\\nthree\\n' ;;
"build "*)
  while [ $# -gt 1 ]; do [ "$1" = -o ] && out=$2; shift; done
  echo "$1" >> "$home/builds"
  echo one >&2
  if [ -e "$home/full" ]; then echo "write $out: no space left on device" >&2; exit 1; fi
  if [ -e "$home/broken" ]; then echo "x.go:1:1: syntax error" >&2; exit 1; fi
  if [ -e "$home/wait" ]; then
    printf half > "$out"; echo $$ > "$home/pid.draft"; mv "$home/pid.draft" "$home/pid"
    while [ -e "$home/wait" ]; do sleep 0.05; done
  fi
  printf '#!/bin/sh\\necho Kubernetes v1.36.4\\n' > "$out" ;;
esac
"""


@dataclass
class FakeGo:
    """A `go` command in a folder that also holds its switches and its diary."""

    home: Path

    def switch(self, name: str, text: str = "") -> None:
        (self.home / name).write_text(text)

    @property
    def builds(self) -> list[str]:
        diary = self.home / "builds"
        return diary.read_text().split() if diary.exists() else []


@dataclass
class Answer:
    """What a path of the fake site does."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    announce: int | None = None
    silent: bool = False


@dataclass
class FakeSite:
    """A download site: answers by path, and the requests that came."""

    url: str
    answers: dict[str, Answer]
    requests: list[str]

    def publish(self, path: str, body: bytes, *, digest: str | None = None) -> None:
        """Serve `body`, with a checksum file beside it."""
        self.answers[path] = Answer(body)
        self.answers[f"{path}.sha256"] = Answer((digest or hashlib.sha256(body).hexdigest()).encode())


def make_fake_go(home: Path, version: str) -> FakeGo:
    home.mkdir(parents=True)
    go = FakeGo(home)
    go.switch("version", version)
    go.switch("policy", "local")
    go.switch("upstream.mod", UPSTREAM_MOD)
    go.switch("go", FAKE_GO.format(home=home))
    (home / "go").chmod(0o755)
    return go

"""What a gateway lets through, and under which names."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from syncer_worlds import Worlds, host_pod
from syncer_worlds import pod as put_pod
from vcluster_syncer.gateway.http import Request, parse_request, render_request
from vcluster_syncer.gateway.routes import Asked, Refused, authorize, parse, to_host
from vcluster_syncer.model import PODS, Key

SPDY = (("connection", "Upgrade"), ("upgrade", "SPDY/3.1"), ("x-stream-protocol-version", "v4.channel.k8s.io"))
CREDENTIALS = {"host": "10.0.0.1:6443"}


def request(method: str, target: str, *headers: tuple[str, str]) -> Request:
    return parse_request(render_request(method, target, headers))


def passed_on(asked: Request, *, host_name: str = "web-x", namespace: str = "vc-ns", prefix: str = "") -> Request:
    host = {"metadata": {"name": host_name, "namespace": namespace}}
    return parse_request(to_host(parse(asked), asked, host, credentials=CREDENTIALS, prefix=prefix))


def test_logs_are_asked_of_the_hosts_pod_with_all_options() -> None:
    query = (
        "follow=true&previous=true&timestamps=true&sinceSeconds=5&sinceTime=2026-01-01T00%3A00%3A00Z"
        "&tailLines=3&limitBytes=9&stream=Stdout"
    )
    made = passed_on(request("GET", f"/containerLogs/shop/web/main?{query}"))
    assert made.method == "GET"
    assert made.path == ("api", "v1", "namespaces", "vc-ns", "pods", "web-x", "log")
    assert made.query == (("container", "main"), *parse_qsl(query))
    assert made.headers.all("connection") == ["close"]


def test_the_default_stream_is_not_asked_for_because_older_hosts_know_no_streams() -> None:
    assert passed_on(request("GET", "/containerLogs/shop/web/main?stream=All")).query == (("container", "main"),)


def test_a_command_is_passed_word_by_word() -> None:
    words = ["sh", "-c", 'echo "$A" & b=c?d', "", "ü%2F"]
    query = urlencode([*(("command", word) for word in words), ("input", "1"), ("output", "1"), ("tty", "1")])
    made = passed_on(request("POST", f"/exec/shop/web/main?{query}", *SPDY))
    assert made.method == "POST"
    assert made.path[-2:] == ("web-x", "exec")
    assert [value for name, value in made.query if name == "command"] == words
    assert {pair for pair in made.query if pair[0] != "command"} == {
        ("container", "main"),
        ("stdin", "true"),
        ("stdout", "true"),
        ("tty", "true"),
    }


def test_attaching_has_no_command() -> None:
    made = passed_on(request("POST", "/attach/shop/web/main?output=1&error=0&command=rm", *SPDY))
    assert made.path[-1] == "attach"
    assert made.query == (("container", "main"), ("stdout", "true"), ("stderr", "false"))


def test_ports_are_those_of_the_pod_as_a_whole() -> None:
    made = passed_on(request("GET", "/portForward/shop/web?port=80&port=81&command=rm", *SPDY))
    assert made.path[-1] == "portforward"
    assert made.query == (("ports", "80"), ("ports", "81"))
    assert passed_on(request("POST", "/portForward/shop/web", *SPDY)).query == ()


def test_the_host_may_be_below_a_path() -> None:
    made = passed_on(request("GET", "/containerLogs/shop/web/main"), prefix="/k8s/clusters/c-1")
    assert made.path[:4] == ("k8s", "clusters", "c-1", "api")


def test_nothing_that_says_who_asks_is_passed_on() -> None:
    made = passed_on(
        request(
            "GET",
            "/exec/shop/web/main?command=id",
            ("connection", "Upgrade, X-Remote-User"),
            ("upgrade", "websocket"),
            ("authorization", "Bearer virtual"),
            ("impersonate-user", "admin"),
            ("x-remote-user", "admin"),
            ("x-remote-group", "system:masters"),
            ("cookie", "a=b"),
            ("host", "127.0.0.1:10250"),
            ("content-length", "0"),
            ("sec-websocket-key", "x3JJHMbDL1EzLkh9GBhXDw=="),
            ("sec-websocket-version", "13"),
            ("sec-websocket-protocol", "base64url.bearer.authorization.k8s.io.dG9rZW4, v5.channel.k8s.io"),
        )
    )
    assert set(made.headers) == {
        ("host", "10.0.0.1:6443"),
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-key", "x3JJHMbDL1EzLkh9GBhXDw=="),
        ("sec-websocket-version", "13"),
        ("sec-websocket-protocol", "v5.channel.k8s.io"),
    }


@pytest.mark.parametrize(
    ("method", "target", "headers", "status"),
    [
        ("GET", "/", (), 404),
        ("GET", "/pods", (), 404),
        ("POST", "/run/shop/web/main?cmd=id", SPDY, 404),
        ("GET", "/exec/shop/web/uid/main", SPDY, 404),
        ("GET", "/containerLogs/shop/web", (), 404),
        ("GET", "/api/v1/namespaces/vc-ns/pods/web-x/exec", SPDY, 404),
        ("POST", "/containerLogs/shop/web/main", (), 405),
        ("DELETE", "/exec/shop/web/main", SPDY, 405),
        ("POST", "/exec/shop/web/main?command=id", (), 400),
        ("GET", "/portForward/shop/web", (("connection", "Upgrade"), ("upgrade", "h2c")), 400),
    ],
)
def test_everything_else_is_refused(method: str, target: str, headers: Any, status: int) -> None:
    with pytest.raises(Refused) as refused:
        parse(request(method, target, *headers))
    assert refused.value.status == status


NAME = st.text(min_size=1, max_size=20).filter(lambda text: text not in (".", ".."))


@given(namespace=NAME, pod=NAME, container=NAME)
def test_no_name_can_reach_another_path_of_the_host(namespace: str, pod: str, container: str) -> None:
    target = "/".join(quote(part, safe="") for part in ("", "exec", namespace, pod, container))
    made = passed_on(request("POST", f"{target}?command=id", *SPDY), host_name=pod, namespace=namespace)
    assert made.path == ("api", "v1", "namespaces", namespace, "pods", pod, "exec")
    assert made.query == (("container", container), ("command", "id"))


def asked(name: str = "web", *, container: str = "main", namespace: str = "default") -> Asked:
    return Asked(subresource="exec", pod=Key(namespace, name), container=container, options=())


OTHERS = (("init", "first"), ("ephemeral", "debug"))


@pytest.fixture
def pod() -> tuple[Any, Any]:
    """A virtual pod of which the host's has a container more."""
    worlds = Worlds()
    others = {f"{kind}Containers": [{"name": name, "image": "i"}] for kind, name in OTHERS}
    virtual, host = put_pod(worlds, **others), host_pod(worlds)
    return virtual, {**host, "spec": {**host["spec"], "containers": [*host["spec"]["containers"], {"name": "mesh"}]}}


@pytest.mark.parametrize("container", ["main", "first", "debug", ""])
def test_containers_of_the_virtual_pod_may_be_entered(pod: Any, container: str) -> None:
    assert authorize(asked(container=container), *pod) is pod[1]


def test_a_container_that_the_host_has_added_may_not(pod: Any) -> None:
    with pytest.raises(Refused, match="container 'mesh' is not in pod default/web") as refused:
        authorize(asked(container="mesh"), *pod)
    assert refused.value.status == 404


def test_a_pod_that_is_not_there_does_not_exist_whatever_the_host_has(pod: Any) -> None:
    with pytest.raises(Refused, match="pod default/web does not exist"):
        authorize(asked(), None, pod[1])
    with pytest.raises(Refused, match="pod default/web is not on the host"):
        authorize(asked(), pod[0], None)


def test_a_pod_made_for_a_deleted_namesake_is_not_entered(pod: Any) -> None:
    virtual, host = pod
    reborn = {**virtual, "metadata": {**virtual["metadata"], "uid": "another"}}
    with pytest.raises(Refused, match="not on the host yet, or not any more"):
        authorize(asked(), reborn, host)


def test_pods_are_found_by_the_memory_of_the_syncer() -> None:
    worlds = Worlds()
    virtual, host = put_pod(worlds), host_pod(worlds)
    assert worlds.host(PODS, Key("default", "web")) == host
    assert authorize(asked(), virtual, host)["metadata"]["name"] != "web"

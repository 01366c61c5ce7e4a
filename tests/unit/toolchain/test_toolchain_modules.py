from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_vcluster.toolchain import Component, Wanted
from pytest_vcluster.toolchain.modules import go_line, go_mod, go_version_key, recipe_of, tools_go

UPSTREAM = """module k8s.io/kubernetes

go 1.26.0

godebug default=go1.26

require (
\tgithub.com/google/uuid v1.6.0
\tk8s.io/api v0.0.0
\tk8s.io/kubelet v0.0.0 // indirect
\tk8s.io/klog/v2 v2.140.0
)

replace k8s.io/api => ./staging/src/k8s.io/api
"""


def test_the_own_module_replaces_every_staged_module_by_the_release_of_the_same_day() -> None:
    recipe = recipe_of(Wanted(Component.KUBE_APISERVER, "v1.36.4"))
    assert go_mod(recipe, UPSTREAM) == (
        "module pytest-vcluster.invalid/kubernetes\n\n"
        "go 1.26.0\n\n"
        "require k8s.io/kubernetes v1.36.4\n\n"
        "replace (\n"
        "\tk8s.io/api => k8s.io/api v0.36.4\n"
        "\tk8s.io/kubelet => k8s.io/kubelet v0.36.4\n"
        ")\n"
    )


def test_a_module_without_staged_parts_gets_no_replacements() -> None:
    text = go_mod(recipe_of(Wanted(Component.ETCD, "v3.6.16")), "module x\n\ngo 1.24\n\ntoolchain go1.24.7\n")
    assert text == "module pytest-vcluster.invalid/v3\n\ngo 1.24\n\nrequire go.etcd.io/etcd/server/v3 v3.6.16\n"


def test_all_commands_of_a_kubernetes_version_share_one_module() -> None:
    recipes = [recipe_of(Wanted(component, "v1.36.4")) for component in Component if component.is_kubernetes]
    assert len({(recipe.folder, tools_go(recipe)) for recipe in recipes}) == 1
    assert len({recipe.package for recipe in recipes}) == len(recipes) == 4


def test_the_version_is_stamped_into_server_and_client() -> None:
    flags = recipe_of(Wanted(Component.KUBECTL, "v1.37.1")).linker_flags
    for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version"):
        assert f"-X {package}.gitVersion=v1.37.1" in flags
        assert f"-X {package}.gitMinor=37" in flags
    assert "consts.Version=v0.8.0" in recipe_of(Wanted(Component.KWOK, "v0.8.0")).linker_flags
    assert "internal/version.version=v4.3.1" in recipe_of(Wanted(Component.HELM, "v4.3.1")).linker_flags


def test_the_usual_time_says_what_it_takes_for_granted() -> None:
    usual = {c: recipe_of(Wanted(c, "v1.36.4")).usual for c in (Component.KUBE_APISERVER, Component.KUBE_SCHEDULER)}
    assert usual[Component.KUBE_APISERVER] == "usually 5 min on 2 cores when nothing is compiled yet"
    assert usual[Component.KUBE_SCHEDULER] == "usually 15 s on 2 cores after kube-apiserver, minutes more without"


@pytest.mark.parametrize("component", list(Component))
def test_every_component_has_a_recipe_that_imports_what_it_builds(component: Component) -> None:
    recipe = recipe_of(Wanted(component, "v1.36.4"))
    assert recipe.package in recipe.imports
    assert recipe.usual_seconds > 0
    assert "/" not in recipe.folder


@pytest.mark.parametrize(
    ("text", "line"), [("go 1.26.0\n", "1.26.0"), ("module x\ngo 1.21\n", "1.21"), ("module x\n", "1.16")]
)
def test_reads_the_go_line(text: str, line: str) -> None:
    assert go_line(text) == line


@given(
    st.tuples(*[st.integers(min_value=0, max_value=99)] * 3), st.tuples(*[st.integers(min_value=0, max_value=99)] * 3)
)
def test_go_versions_compare_by_number(one: tuple[int, int, int], other: tuple[int, int, int]) -> None:
    keys = [go_version_key("go" + ".".join(map(str, version))) for version in (one, other)]
    assert (keys[0] < keys[1]) == (one < other)


def test_odd_go_versions_compare_too() -> None:
    assert go_version_key("go1.26rc1") == (1, 26, 0)
    assert go_version_key("devel +abc") == (0, 0, 0)

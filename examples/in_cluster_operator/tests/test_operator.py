"""What the operator does in its pod."""

import pytest

from pytest_vcluster import ApiError

pytestmark = pytest.mark.vcluster(containers=True)


def test_a_greeting_becomes_a_page(cluster, greeting):
    cluster.apply(greeting("first", who="world"))

    cluster.wait("greeting/first", "jsonpath={.status.page}=Hello, world!")
    assert cluster.get("configmap", "first")["data"] == {"page": "Hello, world!"}


def test_a_changed_greeting_changes_its_page(cluster, greeting):
    cluster.apply(greeting("second", who="world"))
    cluster.wait("configmap/second", "jsonpath={.data.page}=Hello, world!")

    cluster.apply(greeting("second", who="world", word="Goodbye"))
    cluster.wait("configmap/second", "jsonpath={.data.page}=Goodbye, world!")


def test_a_page_goes_with_its_greeting(cluster, greeting):
    cluster.apply(greeting("third", who="world"))
    cluster.wait("configmap/third", "create")

    cluster.delete("greeting/third")
    cluster.wait("configmap/third", "delete")


def test_nonsense_is_refused_by_the_pod(cluster, greeting):
    with pytest.raises(ApiError, match="greet somebody in particular"):
        cluster.apply(greeting("fourth", who="anybody"))


def test_the_first_version_is_converted_by_the_pod(cluster, greeting):
    cluster.apply(greeting("fifth", version="v1alpha1", text="Welcome, friend"))

    assert cluster.get("greetings.v1.example.org", "fifth")["spec"] == {"word": "Welcome", "who": "friend"}
    assert cluster.get("greetings.v1alpha1.example.org", "fifth")["spec"] == {"text": "Welcome, friend"}
    cluster.wait("configmap/fifth", "jsonpath={.data.page}=Welcome, friend!")

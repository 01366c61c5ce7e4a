"""Who may do what with WebApps: users of the cluster, each with a kubeconfig of their own."""

import pytest
from kubernetes import client, config

pytestmark = pytest.mark.vcluster(crds="crd/webapps.yaml", manifests="deploy/roles.yaml")

WEBAPPS = ("example.org", "v1", "default", "webapps")


@pytest.fixture
def webapps_of(vcluster):
    """The WebApps as a user sees them."""
    apis = []

    def of(user, *groups):
        apis.append(config.new_client_from_config(str(vcluster.add_user(user, groups=groups))))
        return client.CustomObjectsApi(apis[-1])

    yield of
    for api in apis:
        api.close()


def test_an_editor_makes_apps_and_a_viewer_only_sees_them(webapps_of, webapp):
    editor, viewer = webapps_of("erin", "webapp-editors"), webapps_of("victor", "webapp-viewers")

    editor.create_namespaced_custom_object(*WEBAPPS, webapp())

    assert len(viewer.list_namespaced_custom_object(*WEBAPPS)["items"]) == 1
    with pytest.raises(client.ApiException, match="Forbidden"):
        viewer.delete_namespaced_custom_object(*WEBAPPS, "shop")


def test_anybody_else_sees_nothing(webapps_of):
    with pytest.raises(client.ApiException, match="Forbidden"):
        webapps_of("stella").list_namespaced_custom_object(*WEBAPPS)

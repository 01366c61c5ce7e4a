"""The host's API server, as a kubeconfig has it."""

import base64

import yaml

from pytest_vcluster.controlplane import pki
from pytest_vcluster.hosts.in_cluster.host_api import HostServer


def test_what_the_official_client_writes_goes_where_somebody_removes_it(tmp_path):
    authority = pki.CertificateAuthority.new("of-a-test").certificate
    cluster = {
        "server": "https://127.0.0.1:6443",
        "certificate-authority-data": base64.b64encode(authority.encode()).decode(),
    }
    document = {
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
    }
    kubeconfig, files = tmp_path / "kubeconfig", tmp_path / "files"
    kubeconfig.write_text(yaml.safe_dump(document))
    server = HostServer.load(kubeconfig, "here", files=files)
    assert [path.read_text() for path in files.iterdir()] == [authority]
    assert (server.url, dict(server.headers())) == (cluster["server"], {"authorization": "Bearer t"})
    assert server.tls is not None

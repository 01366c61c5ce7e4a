import base64
from pathlib import Path

import pytest
import yaml
from vcluster_syncer.kube.kubeconfig import KubeconfigError, Server, load, parse, ssl_context

from pytest_vcluster.controlplane.pki import CertificateAuthority


def document(*, cluster=None, user=None, **changes):
    return yaml.safe_dump(
        {
            "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
            "clusters": [{"name": "k", "cluster": {"server": "https://127.0.0.1:1/", **(cluster or {})}}],
            "users": [{"name": "u", "user": user or {}}],
            **changes,
        }
    )


def read(text):
    return parse(text, source=Path("/etc/it/config"))


def test_certificates_are_taken_from_the_text_itself():
    inline = base64.b64encode(b"PEM").decode()
    server = read(
        document(
            cluster={"certificate-authority-data": inline},
            user={"client-certificate-data": inline, "client-key-data": inline, "token": "t"},
        )
    )
    assert server == Server(
        url="https://127.0.0.1:1", certificate_authority="PEM", client_certificate="PEM", client_key="PEM", token="t"
    )


def test_certificates_are_taken_from_files_beside_the_kubeconfig(tmp_path):
    for name in ("ca", "cert", "key", "token"):
        (tmp_path / name).write_text(f"the {name}\n")
    path = tmp_path / "config"
    path.write_text(
        document(
            cluster={"certificate-authority": "ca", "tls-server-name": "kubernetes"},
            user={"client-certificate": str(tmp_path / "cert"), "client-key": "key", "tokenFile": "token"},
        )
    )
    server = load(path)
    assert (server.certificate_authority, server.client_key) == ("the ca\n", "the key\n")
    assert (server.token, server.server_name) == ("the token", "kubernetes")


def test_secrets_are_not_shown_when_printed():
    shown = repr(Server(url="u", client_key="secret-key", token="secret-token"))
    assert "secret" not in shown


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("a: [", "is not YAML"),
        ("- a", "is not a mapping"),
        (document(**{"current-context": ""}), "no current-context"),
        (document(**{"current-context": "other"}), "has no context 'other'; it has: c"),
        (document(clusters=[]), "has no cluster 'k'; it has: none"),
        (document(cluster={"server": ""}), "cluster 'k' has no server"),
        (document(user={"exec": {"command": "aws"}}), "'exec', which would run a program"),
        (document(user={"client-key-data": "%%%"}), "client-key-data is not base64"),
        (document(user={"client-key": "nowhere"}), "names /etc/it/nowhere, which can't be read"),
    ],
)
def test_what_is_wrong_with_a_kubeconfig_is_told(text, error):
    with pytest.raises(KubeconfigError, match=error) as raised:
        read(text)
    assert "/etc/it/config" in str(raised.value)


def test_a_kubeconfig_that_is_not_there_is_told(tmp_path):
    with pytest.raises(KubeconfigError, match="No such file"):
        load(tmp_path / "none")


def test_only_the_named_authority_is_trusted_and_no_file_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    authority = CertificateAuthority.new("it")
    user = authority.client("me")
    context = ssl_context(
        Server(
            url="https://127.0.0.1:1",
            certificate_authority=authority.certificate,
            client_certificate=user.certificate,
            client_key=user.key,
        )
    )
    assert len(context.get_ca_certs()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_key_of_another_certificate_is_told():
    authority = CertificateAuthority.new("it")
    one, two = authority.client("one"), authority.client("two")
    server = Server(
        url="https://127.0.0.1:1",
        certificate_authority=authority.certificate,
        client_certificate=one.certificate,
        client_key=two.key,
    )
    with pytest.raises(KubeconfigError, match="don't match"):
        ssl_context(server)


def test_plain_http_has_no_tls():
    assert ssl_context(Server(url="http://127.0.0.1:1")) is None

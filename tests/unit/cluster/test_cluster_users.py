import base64
import json
import stat

import pytest
from cluster_server import FakeLease
from cryptography import x509
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from pytest_vcluster.cluster.users import add_user, file_name, user_kubeconfig
from pytest_vcluster.controlplane.pki import CertificateAuthority
from pytest_vcluster.private_files import write_private


@pytest.fixture(scope="module")
def grant():
    pair = CertificateAuthority.new("clients").pair
    return FakeLease(
        certificate_authority="SERVER", client_ca_certificate=pair.certificate, client_ca_key=pair.key
    ).grant


def test_a_user_is_a_certificate_with_a_name_and_groups(grant):
    document = json.loads(user_kubeconfig(grant, "alice@example.com", ["devs", "ops"]))
    data = document["users"][0]["user"]["client-certificate-data"]
    subject = x509.load_pem_x509_certificate(base64.b64decode(data)).subject
    assert [name.value for name in subject.get_attributes_for_oid(NameOID.COMMON_NAME)] == ["alice@example.com"]
    assert [name.value for name in subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)] == ["devs", "ops"]
    cluster = document["clusters"][0]["cluster"]
    assert cluster["server"] == grant.url
    assert base64.b64decode(cluster["certificate-authority-data"]) == b"SERVER"


def test_the_file_is_the_users_alone(grant, tmp_path):
    path = add_user(grant, tmp_path / "users", "system:serviceaccount:x:y", ())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.name.startswith("system-serviceaccount-x-y-")
    assert add_user(grant, tmp_path / "users", "system:serviceaccount:x:y", ()) == path


def test_a_text_is_not_a_list_of_groups(grant):
    with pytest.raises(TypeError, match=r"groups='devs' is a text; allowed: .*\('devs',\)"):
        user_kubeconfig(grant, "alice", "devs")


@pytest.mark.parametrize(("name", "groups"), [("", ()), ("x" * 65, ()), ("x", ("",)), ("x", ("g" * 65,))])
def test_names_that_no_certificate_can_say_are_refused(grant, name, groups):
    with pytest.raises(ValueError, match="characters; allowed: 1 to 64"):
        user_kubeconfig(grant, name, groups)


@given(st.lists(st.tuples(st.text(max_size=8), st.lists(st.text(max_size=3), max_size=2)), max_size=6))
def test_different_users_have_different_files(users):
    different = {(name, tuple(groups)) for name, groups in users if "\0" not in "".join((name, *groups))}
    assert len({file_name(name, groups) for name, groups in different}) == len(different)


def test_a_private_file_replaces_whatever_was_there(tmp_path):
    path = tmp_path / "secret"
    path.write_text("old")
    path.chmod(0o644)
    assert write_private(path, "new") == path
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]

import datetime
import ipaddress
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import NameOID

from pytest_vcluster.controlplane.pki import CertificateAuthority, new_signing_key


def test_client_certificate_carries_user_and_groups():
    pair = CertificateAuthority.new("ca").client("jane", ["devs", "system:masters"])
    certificate = x509.load_pem_x509_certificate(pair.certificate.encode())
    assert [a.value for a in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)] == ["jane"]
    organizations = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    assert [a.value for a in organizations] == ["devs", "system:masters"]


def test_server_certificate_names_hosts_and_addresses():
    pair = CertificateAuthority.new("ca").server("api", hosts=["localhost", "127.64.1.2"])
    names = x509.load_pem_x509_certificate(pair.certificate.encode()).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert names.value.get_values_for_type(x509.DNSName) == ["localhost"]
    assert names.value.get_values_for_type(x509.IPAddress) == [ipaddress.ip_address("127.64.1.2")]


def test_certificates_are_valid_now_even_on_a_clock_that_is_an_hour_behind():
    certificate = x509.load_pem_x509_certificate(CertificateAuthority.new("ca").certificate.encode())
    behind = datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=59)
    assert certificate.not_valid_before_utc < behind < certificate.not_valid_after_utc


def test_an_authority_read_back_signs_for_the_same_trust(tmp_path):
    authority = CertificateAuthority.new("ca")
    again = CertificateAuthority.from_pem(authority.pair.certificate, authority.pair.key)
    issued = x509.load_pem_x509_certificate(again.client("a").certificate.encode())
    issued.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.certificate.encode()))
    context = ssl.create_default_context(cadata=authority.certificate)
    assert context.cert_store_stats()["x509_ca"] == 1


def test_another_clusters_authority_does_not_verify():
    ours, theirs = CertificateAuthority.new("ca"), CertificateAuthority.new("ca")
    issued = x509.load_pem_x509_certificate(theirs.client("a").certificate.encode())
    with pytest.raises(Exception, match=r"(?i)signature|^$"):
        issued.verify_directly_issued_by(x509.load_pem_x509_certificate(ours.certificate.encode()))


def test_an_authority_with_a_foreign_kind_of_key_is_refused():
    key = ed25519.Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with pytest.raises(TypeError, match="elliptic curve"):
        CertificateAuthority.from_pem(CertificateAuthority.new("ca").certificate, key.decode())


def test_signing_keys_are_elliptic_and_never_the_same():
    one, other = new_signing_key(), new_signing_key()
    assert one.private != other.private
    loaded = serialization.load_pem_private_key(one.private.encode(), password=None)
    assert isinstance(loaded, ec.EllipticCurvePrivateKey)
    assert "PUBLIC KEY" in one.public

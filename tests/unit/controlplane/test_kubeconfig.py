import base64

import yaml

from pytest_vcluster.controlplane.keys import KeyPair
from pytest_vcluster.controlplane.kubeconfig import build, render

PAIR = KeyPair(certificate="CERT", key="KEY")


def test_a_kubeconfig_needs_no_other_file():
    config = build(name="vc-1", server="https://127.0.0.1:1", certificate_authority="CA", client=PAIR)
    assert config["clusters"][0]["cluster"] == {
        "server": "https://127.0.0.1:1",
        "certificate-authority-data": base64.b64encode(b"CA").decode(),
    }
    assert config["users"][0]["user"]["client-key-data"] == base64.b64encode(b"KEY").decode()
    assert config["current-context"] == "vc-1" == config["contexts"][0]["name"]


def test_another_user_gets_a_context_of_their_own():
    config = build(name="vc-1", server="s", certificate_authority="CA", client=PAIR, user="jane")
    assert config["current-context"] == "jane@vc-1"
    assert config["contexts"][0]["context"]["user"] == config["users"][0]["name"] == "jane@vc-1"


def test_the_text_is_what_was_built():
    arguments = {"name": "vc-1", "server": "s", "certificate_authority": "CA", "client": PAIR}
    assert yaml.safe_load(render(**arguments)) == build(**arguments)

"""What a pod's cluster starts on: its seed, its socket, its objects; and who was there when it began."""

import asyncio
import base64
import gzip
import json
import shutil

import pytest
from engine_parts import Scripted
from test_recycle_processes import put
from vcluster_syncer.kube.errors import AlreadyExists, NotFound
from vcluster_syncer.model import Owner
from vcluster_syncer.pod import objects, store
from vcluster_syncer.pod.store import BadSeed
from vcluster_syncer.pod.witness import Witness
from vcluster_syncer.pod_options import Endpoints, HostService, Store
from vcluster_syncer.recycle.etcd import StoreError
from vcluster_syncer.recycle.freeze import NotFrozen

SERVED = {
    "resources": [
        {"name": "widgets/status", "kind": "Widget", "namespaced": True},
        {"name": "widgets", "kind": "Widget", "namespaced": True},
        {"name": "roles", "kind": "Role", "namespaced": False},
    ]
}
KUBERNETES = Endpoints(namespace="default", name="kubernetes", ports=[{"name": "https", "port": 6443}])
WIDGET = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "a", "namespace": "n"}}
CREATED, EXISTS, MISSING = {"kind": "Status"}, AlreadyExists("it exists"), NotFound("there is none")


class TestSeed:
    def write(self, path, text):
        path.write_bytes(gzip.compress(text.encode()))
        return path

    def test_it_is_read(self, tmp_path):
        value = base64.b64encode(b"k8s\0value").decode()
        path = self.write(tmp_path / "s", json.dumps({"entries": {"namespaces/default": value, "a": ""}}))
        assert store.read(path) == {b"namespaces/default": b"k8s\0value", b"a": b""}

    @pytest.mark.parametrize(
        ("text", "error"),
        [
            ("{", "can't be read"),
            ("[]", "is not of the form"),
            ('{"entries": []}', "is not of the form"),
            ('{"entries": {"a": 5}}', "is not of the form"),
            ('{"entries": {"a": "?"}}', "can't be read"),
        ],
    )
    def test_anything_else_is_told(self, tmp_path, text, error):
        with pytest.raises(BadSeed, match=f"seed {tmp_path}/s {error}"):
            store.read(self.write(tmp_path / "s", text))

    def test_a_file_that_is_missing_or_cut_is_told(self, tmp_path):
        with pytest.raises(BadSeed, match="can't be read"):
            store.read(tmp_path / "none")
        path = self.write(tmp_path / "s", '{"entries": {}}')
        path.write_bytes(path.read_bytes()[:-9])
        with pytest.raises(BadSeed, match="can't be read"):
            store.read(path)


class TestSocket:
    def at(self, directory):
        return Store(etcd=directory / "etcd.sock", open=directory / "store.sock", prefix="/r/", irreplaceable=())

    def test_nobody_listens_yet(self, tmp_path):
        with pytest.raises(StoreError, match=r"nobody listens at .*etcd\.sock yet: No such file"):
            asyncio.run(store.answers(self.at(tmp_path)))

    def test_it_is_opened_also_where_a_predecessor_did(self, tmp_path):
        (tmp_path / "store.sock.new").symlink_to("nowhere")
        for _ in range(2):
            asyncio.run(store.open_up(self.at(tmp_path)))
            assert (tmp_path / "store.sock").readlink() == tmp_path / "etcd.sock"
        assert [path.name for path in tmp_path.iterdir()] == ["store.sock"]


class TestObjects:
    def made(self, obj, *answers):
        client = Scripted(SERVED, *answers)
        asyncio.run(objects.make_missing(client, obj))
        return client.asked

    @pytest.mark.parametrize("answer", [CREATED, EXISTS])
    def test_it_is_made_whatever_its_kind_where_it_is_missing(self, answer):
        assert self.made(WIDGET, MISSING, answer) == [
            "GET /apis/example.com/v1",
            "GET /apis/example.com/v1/namespaces/n/widgets/a",
            "POST /apis/example.com/v1/namespaces/n/widgets",
        ]

    def test_nothing_is_made_where_it_is_there(self):
        """A Service of a fixed address would be refused as invalid, not as one that exists."""
        assert self.made(WIDGET, WIDGET) == [
            "GET /apis/example.com/v1",
            "GET /apis/example.com/v1/namespaces/n/widgets/a",
        ]

    def test_it_may_be_in_no_namespace_and_of_the_core(self):
        role = {"apiVersion": "v1", "kind": "Role", "metadata": {"name": "a"}}
        assert self.made(role, MISSING, CREATED) == ["GET /api/v1", "GET /api/v1/roles/a", "POST /api/v1/roles"]

    def test_a_kind_that_is_not_served_is_told(self):
        other = {"apiVersion": "v1", "kind": "Gadget", "metadata": {"name": "a"}}
        with pytest.raises(NotFound, match="v1 has no Gadget, of which a is to be one"):
            self.made(other)

    def announced(self, *answers):
        client = Scripted(*answers)
        asyncio.run(objects.announce(client, KUBERNETES, "10.1.2.3"))
        return [asked.partition(" ")[0] for asked in client.asked], client

    def test_a_service_leads_here(self):
        asked, client = self.announced(CREATED, CREATED)
        assert asked == ["POST", "POST"]
        sent = json.loads(client.requests[0].body)
        assert sent == objects.slice_of(KUBERNETES, "10.1.2.3")
        assert sent["metadata"]["labels"] == {"kubernetes.io/service-name": "kubernetes"}
        assert (sent["addressType"], sent["endpoints"][0]["addresses"]) == ("IPv4", ["10.1.2.3"])
        legacy = json.loads(client.requests[1].body)
        assert legacy["kind"] == "Endpoints"
        assert legacy["subsets"] == [{"addresses": [{"ip": "10.1.2.3"}], "ports": sent["ports"]}]

    def test_addresses_of_both_families_are_known(self):
        assert objects.slice_of(KUBERNETES, "fd00::1")["addressType"] == "IPv6"

    def test_what_led_to_a_former_pod_leads_here(self):
        former = objects.slice_of(KUBERNETES, "10.9.9.9")
        former["metadata"]["uid"] = "u1"
        legacy = objects.endpoints_of(KUBERNETES, "10.9.9.9")
        legacy["metadata"]["uid"] = "u2"
        asked, client = self.announced(EXISTS, former, CREATED, EXISTS, legacy, CREATED)
        assert asked == ["POST", "GET", "PATCH"] * 2
        assert json.loads(client.requests[5].body)["subsets"][0]["addresses"] == [{"ip": "10.1.2.3"}]
        sent = json.loads(client.requests[2].body)
        assert sent["endpoints"][0]["addresses"] == ["10.1.2.3"]
        assert sent["metadata"] == {"uid": "u1"}

    def test_what_leads_here_stays(self):
        here = objects.slice_of(KUBERNETES, "10.1.2.3")
        here["metadata"]["uid"] = "u1"
        legacy = objects.endpoints_of(KUBERNETES, "10.1.2.3")
        assert self.announced(EXISTS, here, EXISTS, legacy)[0] == ["POST", "GET"] * 2


class TestHostServices:
    OWNER = Owner("clusters", "vc-1", "uid-1")
    ADMIN = HostService(name="vc-1-admin", ports=[{"name": "admin", "port": 8443}])

    def led(self, *answers):
        client = Scripted(*answers)
        asyncio.run(objects.lead_here(client, self.ADMIN, "10.1.2.3", self.OWNER))
        return client.requests

    def test_a_service_of_the_host_leads_here_and_the_slice_goes_with_the_cluster(self):
        [request] = self.led(CREATED)
        sent = json.loads(request.body)
        assert request.path.startswith("/apis/discovery.k8s.io/v1/namespaces/clusters/endpointslices")
        assert sent["metadata"]["labels"] == {
            "kubernetes.io/service-name": "vc-1-admin",
            # Nobody else may take it for his own, and delete it.
            "endpointslice.kubernetes.io/managed-by": "vcluster-syncer",
        }
        [owner] = sent["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["name"], owner["uid"]) == ("Service", "vc-1", "uid-1")
        assert sent["endpoints"][0]["addresses"] == ["10.1.2.3"]
        assert sent["ports"] == self.ADMIN.ports

    def former(self, manager):
        labels = {"endpointslice.kubernetes.io/managed-by": manager}
        endpoints = [{"addresses": ["10.9.9.9"]}]
        return {"metadata": {"uid": "u1", "labels": labels}, "endpoints": endpoints, "ports": self.ADMIN.ports}

    def test_what_somebody_else_made_by_that_name_stays(self):
        assert [asked.method for asked in self.led(EXISTS, self.former("somebody"))] == ["POST", "GET"]

    def test_what_led_to_a_former_pod_leads_here(self):
        _, _, patch = self.led(EXISTS, self.former("vcluster-syncer"), CREATED)
        assert patch.method == "PATCH"
        assert json.loads(patch.body)["endpoints"][0]["addresses"] == ["10.1.2.3"]


class TestWitness:
    @pytest.fixture
    def listing(self, tmp_path):
        made = tmp_path / "proc"
        made.mkdir()
        put(made, 7, b"etcd\0")
        return made

    def witness(self, tmp_path):
        return Witness(tmp_path / "record", tmp_path / "proc")

    def test_who_is_still_there_is_trusted(self, tmp_path, listing):
        witness = self.witness(tmp_path)
        witness.note("etcd")
        put(listing, 8, b"etcd\0")
        assert witness.doubt() == self.witness(tmp_path).doubt() == ""

    def ended(self, listing):
        shutil.rmtree(listing / "7")

    def started_anew(self, listing):
        self.ended(listing)
        put(listing, 9, b"etcd\0")

    def another_of_that_id(self, listing):
        stat = listing / "7" / "stat"
        stat.write_text(stat.read_text().replace(" 22", " 23"))

    @pytest.mark.parametrize("happened", [ended, started_anew, another_of_that_id])
    def test_who_is_not_is_doubted_for_ever_by_whoever_comes_after_too(self, tmp_path, listing, happened):
        witness = self.witness(tmp_path)
        witness.note("etcd")
        happened(self, listing)
        successor = self.witness(tmp_path)
        if list(listing.iterdir()):
            successor.note("etcd")
        for each in (witness, successor, self.witness(tmp_path)):
            assert each.doubt().startswith("etcd ended after the cluster had begun")

    def test_who_never_came_is_told(self, tmp_path, listing):
        with pytest.raises(NotFrozen, match="no process was started as kube-apiserver; seen: etcd"):
            self.witness(tmp_path).note("kube-apiserver")

    def test_where_nothing_is_kept_nobody_is_asked(self):
        assert Witness(None).doubt() == ""

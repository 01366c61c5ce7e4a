"""The chart: what it makes of values, and which it refuses."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
import vcluster_syncer
import yaml
from chart_cases import NAME, NAMESPACE, PLUGIN, containers, names, one, rendered, run_helm
from cryptography import x509
from vcluster_syncer.config import parse_description
from vcluster_syncer.translate import KINDS

from pytest_vcluster.controlplane import audit, etcd, kube_apiserver, kube_controller_manager, kube_scheduler
from pytest_vcluster.controlplane.addresses import Address
from pytest_vcluster.controlplane.component import GO_ENVIRONMENT, Component
from pytest_vcluster.controlplane.keys import CONTROLLER_MANAGER, METRICS_SERVER_NAME
from pytest_vcluster.errors import ProvisionError
from pytest_vcluster.hosts.chart import chart_folder
from pytest_vcluster.toolchain.versions import KNOWN_PATCH

PKI = Path("/etc/vcluster/pki")
RUN = Path("/run/vcluster")
VALUES = yaml.safe_load((chart_folder() / "values.yaml").read_text())
# That of the nodes follows from their mode.
SWITCHES = [kind.switch for kind in KINDS if kind.switch is not None and kind.switch.path != "from_host.nodes"]
CHART = yaml.safe_load((chart_folder() / "Chart.yaml").read_text())


@pytest.fixture(scope="module")
def standalone() -> list[dict[str, Any]]:
    return rendered()


@pytest.fixture(scope="module")
def plugins() -> list[dict[str, Any]]:
    return rendered(PLUGIN)


def test_helm_finds_nothing_to_complain_about():
    run = run_helm("lint", "--strict")
    assert run.returncode == 0, run.stdout + run.stderr
    assert "1 chart(s) linted, 0 chart(s) failed" in run.stdout


def test_standalone_it_brings_its_certificates_and_a_kubeconfig(standalone):
    assert names(standalone) == [
        f"ConfigMap/{NAME}-syncer",
        f"Role/{NAME}",
        f"RoleBinding/{NAME}",
        f"Secret/{NAME}-kubeconfig",
        f"Secret/{NAME}-pki",
        f"Service/{NAME}",
        f"Service/{NAME}-admin",
        f"ServiceAccount/{NAME}",
        f"StatefulSet/{NAME}",
    ]


def test_the_plugin_brings_certificates_itself_and_comes_in_by_a_node(plugins):
    assert names(plugins) == [
        f"ConfigMap/{NAME}-syncer",
        f"Role/{NAME}",
        f"RoleBinding/{NAME}",
        f"Service/{NAME}",
        f"Service/{NAME}-admin",
        f"Service/{NAME}-node",
        f"ServiceAccount/{NAME}",
        f"StatefulSet/{NAME}",
    ]
    assert {each["metadata"]["namespace"] for each in plugins} == {NAMESPACE}
    assert {each["metadata"]["labels"]["pytest-vcluster/run"] for each in plugins} == {"77"}


# The containers start one after the other; what is below the syncer waits for the API server.
@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, "etcd kube-apiserver syncer kube-controller-manager coredns"),
        ({"store": {"mode": "sqlite"}}, "kine kube-apiserver syncer kube-controller-manager coredns"),
        (
            {"store": {"mode": "external", "external": {"endpoints": ["http://etcd:2379"]}}},
            "kube-apiserver syncer kube-controller-manager coredns",
        ),
        (
            {"scheduler": {"enabled": True}, "dns": {"enabled": False}},
            "etcd kube-apiserver syncer kube-controller-manager kube-scheduler",
        ),
    ],
)
def test_containers_and_their_order(values, expected):
    assert " ".join(containers(rendered(values))) == expected


@pytest.mark.parametrize("version", KNOWN_PATCH.values())
def test_components_are_told_what_the_embedded_ones_are(version):
    """But for paths and addresses; whoever changes one of them changes the other."""
    made = containers(rendered({**PLUGIN, "version": version, "scheduler": {"enabled": True}}))
    kubeconfig = PKI / "kubeconfig"
    expected: dict[str, Component] = {
        "etcd": etcd.component(binary=Path("etcd"), directory=RUN),
        "kube-apiserver": kube_apiserver.component(
            Path("kube-apiserver"),
            kube_apiserver.Settings(
                name=NAME,
                address=Address("0.0.0.0", 6443),
                etcd_socket=RUN / "store.sock",
                etcd_prefix="/registry",
                service_range=VALUES["serviceCIDR"],
                pki=PKI,
                audit_policy=Path("/etc/vcluster/config/audit-policy.json"),
                audit_log=RUN / "audit.log",
            ),
        ),
        "kube-controller-manager": kube_controller_manager.component(
            Path("kube-controller-manager"),
            kube_controller_manager.Settings(
                name=NAME,
                kubeconfig=PKI / "controller-manager.kubeconfig",
                pki=PKI,
                controllers=kube_controller_manager.virtual_controllers(version),
            ),
        ),
        "kube-scheduler": kube_scheduler.component(Path("kube-scheduler"), name=NAME, kubeconfig=kubeconfig),
    }
    for name, component in expected.items():
        assert made[name]["command"] == [name]
        assert made[name]["args"] == list(component.arguments), name
        assert dict(GO_ENVIRONMENT).items() <= {each["name"]: each["value"] for each in made[name]["env"]}.items()
        assert made[name]["image"].endswith(f":{version}") or name == "etcd"


def test_the_api_server_of_a_seeded_cluster_is_ready_without_what_the_seed_brings(plugins, standalone):
    def path(objects: list[dict[str, Any]]) -> Any:
        return containers(objects)["kube-apiserver"]["readinessProbe"]["httpGet"]["path"]

    assert path(plugins) == kube_apiserver.READY_PATH
    assert path(standalone) == "/readyz"


def test_only_a_seed_is_waited_for(plugins, standalone):
    def servers(objects: list[dict[str, Any]]) -> list[str]:
        return [each for each in containers(objects)["kube-apiserver"]["args"] if each.startswith("--etcd-servers=")]

    assert servers(plugins) == [f"--etcd-servers=unix://{RUN}/store.sock"]
    assert servers(standalone) == [f"--etcd-servers=unix://{etcd.socket(RUN)}"]
    assert servers(rendered({"store": {"mode": "sqlite"}})) == [f"--etcd-servers=unix://{etcd.socket(RUN)}"]


@pytest.mark.parametrize(
    ("values", "needed"),
    [
        ({}, ["etcd", "kube-apiserver"]),
        ({"store": {"mode": "sqlite"}}, ["kine", "kube-apiserver"]),
        ({"store": {"mode": "external", "external": {"endpoints": ["http://etcd:2379"]}}}, ["kube-apiserver"]),
    ],
)
def test_who_is_held_back_is_so_while_those_before_live(values, needed):
    hook = containers(rendered(values))["syncer"]["lifecycle"]["postStart"]["exec"]["command"]
    assert hook == [
        *("python", "-m", "vcluster_syncer.awaiting", "--kubeconfig=/etc/vcluster/pki/kubeconfig"),
        *(f"--while={command}" for command in needed),
        *("/readyz", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/system:coredns"),
    ]


def test_tokens_let_in_only_where_nobody_brought_certificates(plugins, standalone):
    def flags(objects: list[dict[str, Any]]) -> str:
        return " ".join(containers(objects)["kube-apiserver"]["args"])

    assert "--token-auth-file=/etc/vcluster/pki/tokens.csv" in flags(standalone)
    assert "token-auth-file" not in flags(plugins)


def test_nothing_in_the_pod_may_more_than_it_must(plugins):
    spec = one(plugins, "StatefulSet")["spec"]["template"]["spec"]
    assert spec["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "runAsGroup": 65532,
        "fsGroup": 65532,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False
    assert spec["shareProcessNamespace"] is True
    for container in spec["containers"]:
        context = container["securityContext"]
        assert (context["allowPrivilegeEscalation"], context["readOnlyRootFilesystem"]) == (False, True)
        # These two official images can't be executed without the capability that their file has.
        added = ["NET_BIND_SERVICE"] if container["name"] in ("kube-apiserver", "coredns") else None
        assert (context["capabilities"]["drop"], context["capabilities"].get("add")) == (["ALL"], added)
        assert container["imagePullPolicy"] == "IfNotPresent"
    with_token = [
        container["name"]
        for container in spec["containers"]
        if any("serviceaccount" in mount["mountPath"] for mount in container["volumeMounts"])
    ]
    assert with_token == ["syncer"]


def test_requests_stay_within_what_a_virtual_cluster_may_take(standalone):
    requests = [each["resources"]["requests"] for each in containers(standalone).values()]
    assert sum(int(each["memory"].removesuffix("Mi")) for each in requests) <= 256
    assert sum(int(each["cpu"].removesuffix("m")) for each in requests) <= 100


def configuration(objects: list[dict[str, Any]]) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(one(objects, "ConfigMap", f"{NAME}-syncer")["data"]["syncer.json"])
    return read


@pytest.mark.parametrize("node_ports", [True, False])
def test_every_service_that_leads_to_the_pod_is_named_with_its_ports(node_ports):
    objects = rendered({**PLUGIN, "service": {**PLUGIN["service"], "nodePorts": node_ports}})
    services = [found for found in objects if found["kind"] == "Service"]
    assert len(services) == 3 if node_ports else 2
    expected = {
        found["metadata"]["name"]: [
            {"name": port["name"], "port": port["targetPort"], "protocol": port["protocol"]}
            for port in found["spec"]["ports"]
        ]
        for found in services
    }
    told = configuration(objects)["pod"]["host_services"]
    assert {each["name"]: each["ports"] for each in told} == expected


def test_what_the_plugins_syncer_is_told(plugins):
    told = configuration(plugins)
    objects = told["pod"].pop("objects")
    assert [f"{each['kind']}/{each['metadata']['name']}" for each in objects] == [
        "Service/kube-dns",
        "ClusterRole/system:coredns",
        "ClusterRoleBinding/system:coredns",
    ]
    assert objects[0]["spec"]["clusterIP"] == "10.96.200.10"
    assert told == {
        "host": {"in_cluster": True},
        "admin": {
            "address": "0.0.0.0",
            "port": 8443,
            "certificate": "/etc/vcluster/pki/admin-api.crt",
            "key": "/etc/vcluster/pki/admin-api.key",
            "client_authority": "/etc/vcluster/pki/admin-api-ca.crt",
        },
        "probes": {"address": "0.0.0.0", "port": 8080},
        "sync": {
            direction: {switch.name: switch.on for switch in SWITCHES if switch.direction == direction}
            for direction in ("to_host", "from_host")
        },
        "patrol_seconds": 120,
        "log_level": "info",
        "owner": NAME,
        "heartbeat": {"lease": "run-77", "seconds": 45},
        "pod": {
            "store": {"etcd": "/run/vcluster/etcd.sock", "open": "/run/vcluster/store.sock", "prefix": "/registry/"},
            "seed": "/etc/vcluster/seed/state.json.gz",
            "endpoints": [
                {
                    "namespace": "default",
                    "name": "kubernetes",
                    "ports": [{"name": "https", "port": 6443, "protocol": "TCP"}],
                },
                {
                    "namespace": "kube-system",
                    "name": "kube-dns",
                    "ports": [
                        {"name": "dns", "port": 1053, "protocol": "UDP"},
                        {"name": "dns-tcp", "port": 1053, "protocol": "TCP"},
                    ],
                },
            ],
            "host_services": [
                {"name": NAME, "ports": [{"name": "https", "port": 6443, "protocol": "TCP"}]},
                {"name": f"{NAME}-admin", "ports": [{"name": "admin", "port": 8443, "protocol": "TCP"}]},
                {
                    "name": f"{NAME}-node",
                    "ports": [
                        {"name": "api", "port": 6443, "protocol": "TCP"},
                        {"name": "admin", "port": 8443, "protocol": "TCP"},
                    ],
                },
            ],
            "tenant": {
                "name": NAME,
                "virtual": {"kubeconfig": "/etc/vcluster/pki/kubeconfig"},
                "nodes": {"mode": "fake"},
                "cluster_domain": "cluster.local",
                "kubernetes_service_ip": "10.96.200.1",
                "dns_service_ip": "10.96.200.10",
                "gateway": {
                    "address": "127.0.0.1",
                    "port": 10250,
                    "certificate": "/etc/vcluster/pki/kubelet.crt",
                    "key": "/etc/vcluster/pki/kubelet.key",
                    "client_authority": "/etc/vcluster/pki/kubelet-ca.crt",
                },
                "drain": "background",
                "recycle": {
                    "commands": {
                        "freeze": ["kube-controller-manager"],
                        "rest": ["kube-apiserver", "kube-controller-manager"],
                    },
                    "audit": "/run/vcluster/audit.log",
                },
            },
        },
    }


def test_what_the_syncer_is_told_of_figures(plugins):
    assert "metrics" not in configuration(plugins)["pod"]["tenant"]
    tenant = configuration(rendered({**PLUGIN, "metrics": {"pods": True}}))["pod"]["tenant"]
    assert tenant["metrics"] == {
        "pods": True,
        "nodes": False,
        # Who signed the certificate, and who signs those of whoever may ask.
        "authority": "/etc/vcluster/pki/kubelet-ca.crt",
        "endpoint": {
            "address": "127.0.0.1",
            "port": 10251,
            "certificate": "/etc/vcluster/pki/kubelet.crt",
            "key": "/etc/vcluster/pki/kubelet.key",
            "client_authority": "/etc/vcluster/pki/front-proxy-ca.crt",
        },
    }
    assert parse_description({**tenant, "host_namespace": NAMESPACE, "recycle": None}).metrics is not None


def test_a_store_that_is_not_an_etcd_of_its_own_can_not_be_recycled():
    for values in ({"mode": "sqlite"}, {"mode": "external", "external": {"endpoints": ["http://etcd:2379"]}}):
        pod = configuration(rendered({"store": values}))["pod"]
        assert "recycle" not in pod["tenant"]
        assert ("store" in pod) == (values["mode"] == "sqlite")


def test_requests_are_noted_as_on_the_embedded_host(plugins):
    told = one(plugins, "ConfigMap", f"{NAME}-syncer")["data"]["audit-policy.json"]
    assert json.loads(told) == audit.policy(), "write what pytest_vcluster.controlplane.audit.policy() makes there"


@pytest.mark.parametrize(
    "store", [{"persistence": {"enabled": True}}, {"mode": "sqlite"}], ids=["on a volume", "not recycled"]
)
def test_nothing_is_noted_for_a_cluster_that_lives_long(store):
    objects = rendered({"store": store})
    assert "audit" not in " ".join(containers(objects)["kube-apiserver"]["args"])
    assert "audit-policy.json" not in one(objects, "ConfigMap", f"{NAME}-syncer")["data"]
    assert "audit" not in configuration(objects)["pod"]["tenant"].get("recycle", {})


def test_stores_on_a_volume():
    objects = rendered({"store": {"persistence": {"enabled": True, "storageClass": "fast"}}})
    [claim] = one(objects, "StatefulSet")["spec"]["volumeClaimTemplates"]
    assert claim["spec"] == {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "fast",
        "resources": {"requests": {"storage": "2Gi"}},
    }
    arguments = containers(objects)["etcd"]["args"]
    assert "--data-dir=/var/lib/vcluster/etcd" in arguments
    # What is to outlive the pod is worth waiting for.
    assert not any("fsync" in argument for argument in arguments)
    sqlite = containers(rendered({"store": {"mode": "sqlite", "persistence": {"enabled": True}}}))["kine"]
    assert any(argument.startswith("--endpoint=sqlite:///var/lib/vcluster/") for argument in sqlite["args"])


def test_an_external_etcd_with_its_own_certificates():
    external = {"endpoints": ["https://a:2379", "https://b:2379"], "secret": "etcd-client"}
    objects = rendered({"store": {"mode": "external", "external": external}})
    arguments = containers(objects)["kube-apiserver"]["args"]
    assert "--etcd-servers=https://a:2379,https://b:2379" in arguments
    assert f"--etcd-prefix=/vcluster/{NAMESPACE}/{NAME}" in arguments
    assert "--etcd-compaction-interval=5m0s" in arguments
    assert "--etcd-cafile=/etc/vcluster/store/ca.crt" in arguments


def test_the_certificates_of_a_standalone_cluster_are_for_its_names(standalone):
    secret = one(standalone, "Secret", f"{NAME}-pki")["data"]
    files = {name: base64.b64decode(text).decode() for name, text in secret.items()}
    assert set(files) == {
        *("server-ca.crt", "server-ca.key", "apiserver.crt", "apiserver.key", "client-ca.crt", "client-ca.key"),
        *("front-proxy-ca.crt", "front-proxy-client.crt", "front-proxy-client.key"),
        *("kubelet-ca.crt", "kubelet-client.crt", "kubelet-client.key", "kubelet.crt", "kubelet.key"),
        *("service-accounts.key", "service-accounts.pub"),
        *("admin-api-ca.crt", "admin-api.crt", "admin-api.key"),
        *("kubeconfig", "controller-manager.kubeconfig", "coredns.kubeconfig", "tokens.csv"),
    }
    certificate = x509.load_pem_x509_certificate(files["apiserver.crt"].encode())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {str(ip) for ip in names.get_values_for_type(x509.IPAddress)} == {"127.0.0.1", "10.96.200.1"}
    assert {*kube_apiserver.SERVER_NAMES, NAME, f"{NAME}.{NAMESPACE}.svc"} - {"127.0.0.1"} <= set(
        names.get_values_for_type(x509.DNSName)
    )
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(files["server-ca.crt"].encode()))
    kubelet = x509.load_pem_x509_certificate(files["kubelet.crt"].encode())
    kubelets_names = kubelet.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert METRICS_SERVER_NAME in kubelets_names.get_values_for_type(x509.DNSName)
    token = json.loads(files["kubeconfig"])["users"][0]["user"]["token"]
    assert f'{token},kubernetes-admin,kubernetes-admin,"system:masters"\n' in files["tokens.csv"]
    token = json.loads(files["controller-manager.kubeconfig"])["users"][0]["user"]["token"]
    assert f'{token},{CONTROLLER_MANAGER},{CONTROLLER_MANAGER},"system:masters"\n' in files["tokens.csv"]
    people = one(standalone, "Secret", f"{NAME}-kubeconfig")["data"]
    assert set(people) == {"config", "admin-api-ca.crt", "admin-api-client.crt", "admin-api-client.key"}
    config = json.loads(base64.b64decode(people["config"]))
    assert config["clusters"][0]["cluster"]["server"] == VALUES["kubeconfig"]["server"]


def test_names_of_the_cluster_are_never_cached(standalone):
    corefile = one(standalone, "ConfigMap", f"{NAME}-syncer")["data"]["Corefile"]
    assert (
        corefile
        == """.:1053 {
    errors
    ready :8181
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        kubeconfig /etc/vcluster/pki/coredns.kubeconfig
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
        ttl 5
    }
    forward . /etc/resolv.conf
    cache 30 {
        disable success cluster.local
        disable denial cluster.local
    }
    loadbalance
}
"""
    )


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"verison": "v1.36.4"}, "verison"),
        ({"version": "1.36"}, "version"),
        ({"store": {"mode": "mysql"}}, "store/mode"),
        ({"nodes": {"mode": "private"}}, "nodes/mode"),
        ({"sync": {"toHost": {"pods": False}}}, "pods"),
        ({"metrics": {"pods": "yes"}}, "metrics/pods"),
        ({"metrics": {"services": True}}, "services"),
        ({"sync": {"toHost": {"ingresses": "yes"}}}, "ingresses"),
        ({"serviceCIDR": "10.96.0.0/30"}, "serviceCIDR"),
        ({"pod": {"terminationGracePeriodSeconds": 30}}, "terminationGracePeriodSeconds"),
        ({"syncer": {"logLevel": "loud"}}, "logLevel"),
        ({"kubeconfig": {"server": "http://here"}}, "server"),
        ({"store": {"mode": "external"}}, "name the etcd in store.external.endpoints"),
        ({"store": {"mode": "sqlite"}, "seed": {"secret": "s"}}, "seed.secret needs store.mode etcd"),
        ({"store": {"persistence": {"enabled": True}}, "seed": {"secret": "s"}}, "don't go together"),
        ({"sync": {"toHost": {"priorityClasses": True}, "fromHost": {"priorityClasses": True}}}, "can't both be on"),
        ({"sync": {"toHost": {"persistentVolumes": True}, "fromHost": {"persistentVolumes": True}}}, "can't both be"),
        ({"certificates": {"secret": "s", "extraNames": ["a"]}}, "certificates.secret names an existing one"),
    ],
)
def test_refuses_what_it_does_not_have_in_helms_own_words(values, words):
    with pytest.raises(ProvisionError, match="The chart of .* could not be rendered. helm says:") as caught:
        rendered(values)
    assert words in str(caught.value)


def test_refuses_a_name_that_is_too_long():
    with pytest.raises(ProvisionError, match="at most 40"):
        rendered(name="v" * 41)
    rendered(name="v" * 40)


def test_every_value_is_documented_allowed_and_nothing_else_is():
    schema = json.loads((chart_folder() / "values.schema.json").read_text())

    def compare(values: Any, allowed: Any, path: str) -> None:
        assert allowed.get("additionalProperties") is False, path
        assert set(values) == set(allowed["properties"]) - {"global"}, path
        for name, value in values.items():
            inner = allowed["properties"][name]
            if isinstance(value, dict) and "properties" in inner and name != "resources":
                compare(value, inner, f"{path}.{name}")

    compare(VALUES, schema, "values")


def test_every_value_is_in_the_readme():
    readme = (chart_folder() / "README.md").read_text()

    def paths(values: dict[str, Any], prefix: str = "") -> list[str]:
        found = []
        for name, value in values.items():
            nested = isinstance(value, dict) and value and name != "resources"
            found += paths(value, f"{prefix}{name}.") if nested else [f"{prefix}{name}"]
        return found

    assert [path for path in paths(VALUES) if f"`{path}`" not in readme] == []


def test_the_default_image_is_the_syncer_of_the_same_version():
    version = next(
        line.split('"')[1]
        for line in (Path(vcluster_syncer.__file__).parents[1] / "pyproject.toml").read_text().splitlines()
        if line.startswith("version")
    )
    assert (CHART["version"], CHART["appVersion"]) == (version, version)
    assert containers(rendered())["syncer"]["image"] == f"pytest-vcluster/syncer:{version}"

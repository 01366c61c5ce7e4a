from typing import Any

import pytest
from syncer_worlds import Worlds, pod, tenant
from vcluster_syncer.model import CONFIGMAPS, NAMESPACES, SECRETS, SERVICE_ACCOUNTS, SERVICES, Key
from vcluster_syncer.naming import host_name
from vcluster_syncer.translate import pod_spec, references


@pytest.fixture
def worlds() -> Worlds:
    return Worlds()


def carried(worlds: Worlds, name: str = "web", namespace: str = "default", **spec: Any) -> dict[str, Any]:
    return pod_spec.to_host(Key(namespace, name), pod(worlds, name, namespace, **spec), worlds)


def named(name: str, namespace: str = "default") -> str:
    return host_name("vc-a1", namespace, name)


class TestSpec:
    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("serviceAccountName", "robot"),
            ("serviceAccount", "robot"),
            ("priorityClassName", "high"),
            ("priority", 1000),
            ("preemptionPolicy", "Never"),
            ("runtimeClassName", "gvisor"),
            ("overhead", {"cpu": "1"}),
            ("subdomain", "db"),
            ("schedulingGroup", {"podGroupName": "gang"}),
            ("workloadRef", {"name": "gang", "podGroup": "workers"}),
            ("evictionResponders", [{"name": "mine.example/drain"}]),
            ("nodeName", "unknown"),
            ("ephemeralContainers", [{"name": "debug"}]),
        ],
    )
    def test_what_the_host_does_not_have_is_not_asked_for(self, worlds: Worlds, field: str, value: Any) -> None:
        assert field not in carried(worlds, **{field: value})["spec"]

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("restartPolicy", "Never"),
            ("terminationGracePeriodSeconds", 3),
            ("securityContext", {"runAsUser": 7}),
            ("hostAliases", [{"ip": "1.2.3.4", "hostnames": ["a"]}]),
            ("readinessGates", [{"conditionType": "x/y"}]),
            ("tolerations", [{"key": "a", "operator": "Exists"}]),
            ("activeDeadlineSeconds", 9),
            ("shareProcessNamespace", True),
        ],
    )
    def test_the_rest_is_kept(self, worlds: Worlds, field: str, value: Any) -> None:
        assert carried(worlds, **{field: value})["spec"][field] == value

    def test_no_token_and_no_service_of_the_host_gets_in(self, worlds: Worlds) -> None:
        spec = carried(worlds, automountServiceAccountToken=True, enableServiceLinks=True)["spec"]
        assert (spec["automountServiceAccountToken"], spec["enableServiceLinks"]) == (False, False)

    @pytest.mark.parametrize(
        ("name", "hostname"),
        [("web-0", "web-0"), ("a.b", "a-b"), ("x" * 70, "x" * 63), ("y" * 62 + ".z", "y" * 62)],
    )
    def test_its_hostname_is_the_virtual_name(self, worlds: Worlds, name: str, hostname: str) -> None:
        assert carried(worlds, name)["spec"]["hostname"] == hostname

    def test_the_users_hostname_wins(self, worlds: Worlds) -> None:
        assert carried(worlds, hostname="db")["spec"]["hostname"] == "db"

    def test_on_the_hosts_network_the_hostname_is_the_nodes(self, worlds: Worlds) -> None:
        assert "hostname" not in carried(worlds, hostNetwork=True)["spec"]

    def test_pull_secrets_are_renamed(self, worlds: Worlds) -> None:
        assert carried(worlds, imagePullSecrets=[{"name": "pull"}])["spec"]["imagePullSecrets"] == [
            {"name": named("pull")}
        ]

    def test_labels_are_kept_but_for_what_would_pass_for_ours(self, worlds: Worlds) -> None:
        labels = {"app": "web", "vcluster-syncer/tenant": "vc-other"}
        made = carried(worlds, metadata={"labels": labels})["metadata"]["labels"]
        assert made["app"] == "web"
        assert made["vcluster-syncer/tenant"] == "vc-a1"
        assert "vc-other" in made.values()


class TestDns:
    def test_the_tenants_dns_is_asked_and_the_users_options_kept(self, worlds: Worlds) -> None:
        own = {
            "nameservers": ["9.9.9.9"],
            "searches": ["corp", "cluster.local"],
            "options": [{"name": "ndots", "value": "2"}],
        }
        spec = carried(worlds, namespace="shop", dnsPolicy="ClusterFirst", dnsConfig=own)["spec"]
        assert spec["dnsPolicy"] == "None"
        assert spec["dnsConfig"] == {
            "nameservers": ["10.96.4.10", "9.9.9.9"],
            "searches": ["shop.svc.cluster.local", "svc.cluster.local", "cluster.local", "corp"],
            "options": [{"name": "ndots", "value": "2"}],
        }

    @pytest.mark.parametrize("policy", ["None", "Default"])
    def test_a_policy_of_the_users_is_kept(self, worlds: Worlds, policy: str) -> None:
        spec = carried(worlds, dnsPolicy=policy, dnsConfig={"nameservers": ["9.9.9.9"]})["spec"]
        assert (spec["dnsPolicy"], spec["dnsConfig"]) == (policy, {"nameservers": ["9.9.9.9"]})

    @pytest.mark.parametrize(
        ("policy", "host_network", "made"),
        [("ClusterFirst", True, "Default"), ("ClusterFirstWithHostNet", True, "None")],
    )
    def test_on_the_hosts_network(self, worlds: Worlds, policy: str, host_network: bool, made: str) -> None:
        assert carried(worlds, dnsPolicy=policy, hostNetwork=host_network)["spec"]["dnsPolicy"] == made

    def test_a_tenant_without_dns_never_gets_the_hosts_services(self) -> None:
        spec = carried(Worlds(tenant(dns_service_ip=None)), dnsPolicy="ClusterFirst")["spec"]
        assert spec["dnsPolicy"] == "Default"


class TestEnvironment:
    def names(self, made: dict[str, Any]) -> dict[str, str]:
        return {one["name"]: one.get("value", "") for one in made["spec"]["containers"][0]["env"]}

    def test_the_virtual_api_server_is_where_clients_look_for_it(self, worlds: Worlds) -> None:
        env = self.names(carried(worlds, enableServiceLinks=False))
        assert env == {
            "KUBERNETES_PORT": "tcp://10.96.4.1:443",
            "KUBERNETES_PORT_443_TCP": "tcp://10.96.4.1:443",
            "KUBERNETES_PORT_443_TCP_ADDR": "10.96.4.1",
            "KUBERNETES_PORT_443_TCP_PORT": "443",
            "KUBERNETES_PORT_443_TCP_PROTO": "tcp",
            "KUBERNETES_SERVICE_HOST": "10.96.4.1",
            "KUBERNETES_SERVICE_PORT": "443",
            "KUBERNETES_SERVICE_PORT_HTTPS": "443",
        }

    def test_services_of_its_namespace_are_told_and_no_others(self, worlds: Worlds) -> None:
        ports = [{"name": "redis-main", "port": 6379}, {"port": 53, "protocol": "UDP", "name": "dns"}]
        worlds.put(SERVICES, "default", "my-cache", spec={"clusterIP": "10.96.4.9", "ports": ports})
        worlds.put(SERVICES, "default", "headless", spec={"clusterIP": "None", "ports": ports})
        worlds.put(SERVICES, "other", "elsewhere", spec={"clusterIP": "10.96.4.8", "ports": ports})
        env = self.names(carried(worlds))
        assert env["MY_CACHE_SERVICE_HOST"] == "10.96.4.9"
        assert env["MY_CACHE_SERVICE_PORT_REDIS_MAIN"] == "6379"
        assert env["MY_CACHE_PORT_53_UDP"] == "udp://10.96.4.9:53"
        assert not any(name.startswith(("HEADLESS", "ELSEWHERE")) for name in env)

    def test_an_ipv6_address_is_in_brackets(self, worlds: Worlds) -> None:
        worlds.put(SERVICES, "default", "six", spec={"clusterIP": "fd00::1", "ports": [{"port": 80}]})
        assert self.names(carried(worlds))["SIX_PORT"] == "tcp://[fd00::1]:80"

    def test_services_come_before_the_users_variables_so_that_those_can_build_on_them(self, worlds: Worlds) -> None:
        own = {"name": "API", "value": "https://$(KUBERNETES_SERVICE_HOST)"}
        container = {"name": "main", "env": [own]}
        made = carried(worlds, containers=[container])["spec"]["containers"][0]["env"]
        assert made[-1] == own

    def test_a_name_the_user_defines_is_the_users(self, worlds: Worlds) -> None:
        own = {"name": "KUBERNETES_SERVICE_HOST", "value": "mine"}
        made = carried(worlds, containers=[{"name": "main", "env": [own]}])["spec"]["containers"][0]["env"]
        assert [one for one in made if one["name"] == "KUBERNETES_SERVICE_HOST"] == [own]

    def test_a_variable_may_be_built_on_the_one_it_hides(self, worlds: Worlds) -> None:
        own = {"name": "KUBERNETES_SERVICE_HOST", "value": "$(KUBERNETES_SERVICE_HOST).nip.io"}
        made = carried(worlds, containers=[{"name": "main", "env": [own]}])["spec"]["containers"][0]["env"]
        said = [one["value"] for one in made if one["name"] == "KUBERNETES_SERVICE_HOST"]
        assert said == ["10.96.4.1", own["value"]]

    def test_dollars_are_left_to_the_kubelet(self, worlds: Worlds) -> None:
        env = [{"name": "A", "value": "1"}, {"name": "B", "value": "$(A) $$(A) $(NOBODY)"}]
        made = carried(worlds, containers=[{"name": "main", "env": env, "args": ["$(B)", "$$(B)"]}])
        container = made["spec"]["containers"][0]
        assert (container["env"][-2:], container["args"]) == (env, ["$(B)", "$$(B)"])

    def test_a_name_the_user_takes_from_a_configmap_is_the_users(self, worlds: Worlds) -> None:
        worlds.put(CONFIGMAPS, "default", "settings", data={"SERVICE_HOST": "mine"})
        source = {"prefix": "KUBERNETES_", "configMapRef": {"name": "settings"}}
        made = carried(worlds, containers=[{"name": "main", "envFrom": [source]}])
        assert "KUBERNETES_SERVICE_HOST" not in self.names(made)
        assert made["spec"]["containers"][0]["envFrom"] == [
            {"prefix": "KUBERNETES_", "configMapRef": {"name": named("settings")}}
        ]

    @pytest.mark.parametrize("field", ["configMapKeyRef", "secretKeyRef"])
    def test_references_are_renamed(self, worlds: Worlds, field: str) -> None:
        own = {"name": "A", "valueFrom": {field: {"name": "settings", "key": "a", "optional": True}}}
        made = carried(worlds, initContainers=[{"name": "init", "env": [own]}])
        assert made["spec"]["initContainers"][0]["env"][-1]["valueFrom"] == {
            field: {"name": named("settings"), "key": "a", "optional": True}
        }

    @pytest.mark.parametrize(
        ("path", "value"),
        [
            ("metadata.name", "web"),
            ("metadata.namespace", "shop"),
            ("metadata.uid", "uid-of-web"),
            ("spec.serviceAccountName", "robot"),
        ],
    )
    def test_the_downward_api_tells_what_the_virtual_cluster_would(self, worlds: Worlds, path: str, value: str) -> None:
        own = {"name": "A", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}}
        made = carried(
            worlds,
            namespace="shop",
            serviceAccountName="robot",
            metadata={"uid": "uid-of-web"},
            containers=[{"name": "main", "env": [own]}],
        )
        reference = made["spec"]["containers"][0]["env"][-1]["valueFrom"]["fieldRef"]["fieldPath"]
        note = reference.removeprefix("metadata.annotations['").removesuffix("']")
        assert made["metadata"]["annotations"][note] == value

    @pytest.mark.parametrize(
        "path", ["status.podIP", "status.hostIP", "metadata.labels['app']", "metadata.annotations['x']"]
    )
    def test_what_is_the_same_on_both_sides_is_asked_of_the_host(self, worlds: Worlds, path: str) -> None:
        own = {"name": "A", "valueFrom": {"fieldRef": {"fieldPath": path}}}
        made = carried(worlds, containers=[{"name": "main", "env": [own]}])
        assert made["spec"]["containers"][0]["env"][-1] == own

    def test_a_label_renamed_on_the_host_is_asked_for_by_its_name_there(self, worlds: Worlds) -> None:
        own = {"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['vcluster-syncer/tenant']"}}}
        made = carried(
            worlds,
            metadata={"labels": {"vcluster-syncer/tenant": "his"}},
            containers=[{"name": "main", "env": [own]}],
        )
        path = made["spec"]["containers"][0]["env"][-1]["valueFrom"]["fieldRef"]["fieldPath"]
        label = path.removeprefix("metadata.labels['").removesuffix("']")
        assert made["metadata"]["labels"][label] == "his"


class TestVolumes:
    @pytest.mark.parametrize(
        ("volume", "made"),
        [
            ({"configMap": {"name": "a", "optional": True}}, {"configMap": {"name": named("a"), "optional": True}}),
            ({"secret": {"secretName": "a"}}, {"secret": {"secretName": named("a")}}),
            ({"persistentVolumeClaim": {"claimName": "a"}}, {"persistentVolumeClaim": {"claimName": named("a")}}),
            ({"ephemeral": {"volumeClaimTemplate": {}}}, {"persistentVolumeClaim": {"claimName": named("web-v")}}),
            ({"emptyDir": {}}, {"emptyDir": {}}),
            (
                {"csi": {"driver": "d", "nodePublishSecretRef": {"name": "a"}}},
                {"csi": {"driver": "d", "nodePublishSecretRef": {"name": named("a")}}},
            ),
            (
                {"azureFile": {"secretName": "a", "shareName": "s"}},
                {"azureFile": {"secretName": named("a"), "shareName": "s"}},
            ),
        ],
    )
    def test_sources_are_renamed(self, worlds: Worlds, volume: dict[str, Any], made: dict[str, Any]) -> None:
        assert carried(worlds, volumes=[{"name": "v", **volume}])["spec"]["volumes"] == [{"name": "v", **made}]

    def test_the_usual_projected_volume_comes_from_renamed_sources(self, worlds: Worlds) -> None:
        sources = [
            {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]}},
        ]
        (volume,) = carried(worlds, volumes=[{"name": "api", "projected": {"sources": sources}}])["spec"]["volumes"]
        assert volume["projected"]["sources"] == [
            {
                "secret": {
                    "name": host_name("vc-a1", "default", "web", role="tokens"),
                    "items": [{"key": "api.0", "path": "token"}],
                }
            },
            {"configMap": {"name": named("kube-root-ca.crt"), "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {
                "downwardAPI": {
                    "items": [
                        {
                            "path": "namespace",
                            "fieldRef": {"fieldPath": "metadata.annotations['vcluster-syncer/namespace']"},
                        }
                    ]
                }
            },
        ]

    def test_all_labels_in_a_file_are_the_users_labels(self, worlds: Worlds) -> None:
        items = [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]
        made = carried(
            worlds,
            metadata={"labels": {"b": 'x"y', "a": "1"}},
            volumes=[{"name": "v", "downwardAPI": {"items": items}}],
        )
        assert made["metadata"]["annotations"]["vcluster-syncer/labels"] == 'a="1"\nb="x\\"y"'


OURS = {"vcluster-syncer/tenant": "vc-a1"}


class TestScheduling:
    def test_it_is_held_to_the_tenants_nodes(self, worlds: Worlds) -> None:
        selector = carried(worlds, nodeSelector={"kubernetes.io/hostname": "node-1"})["spec"]["nodeSelector"]
        assert selector == {"kubernetes.io/hostname": "node-1", **OURS}

    def test_shared_nodes_are_selected_as_the_user_says(self) -> None:
        assert "nodeSelector" not in carried(Worlds(tenant(private_nodes=False)))["spec"]

    def test_a_daemons_node_is_named_as_the_host_names_it(self, worlds: Worlds) -> None:
        node = worlds.node("node-2")
        terms = [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["node-2"]}]}]
        required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
        made = carried(worlds, affinity={"nodeAffinity": required})["spec"]["affinity"]["nodeAffinity"]
        (term,) = made["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
        assert term["matchFields"][0]["values"] == [node]

    def term(self, worlds: Worlds, **term: Any) -> dict[str, Any]:
        required = {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "zone", **term}]}
        made = carried(worlds, metadata={"labels": {"rev": "7"}}, affinity={"podAntiAffinity": required})
        (found,) = made["spec"]["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        return found  # type: ignore[no-any-return]

    def namespaces(self, term: dict[str, Any]) -> list[str] | None:
        for expression in term["labelSelector"].get("matchExpressions", ()):
            if expression["key"] == "vcluster-syncer/namespace":
                return expression["values"]  # type: ignore[no-any-return]
        return None

    def test_affinity_means_pods_of_its_own_namespace(self, worlds: Worlds) -> None:
        term = self.term(worlds, labelSelector={"matchLabels": {"app": "db"}})
        assert term["labelSelector"]["matchLabels"] == {"app": "db", **OURS}
        assert self.namespaces(term) == ["default"]

    def test_named_namespaces_become_part_of_the_selector(self, worlds: Worlds) -> None:
        term = self.term(worlds, labelSelector={}, namespaces=["b", "a"])
        assert self.namespaces(term) == ["a", "b"]
        assert "namespaces" not in term

    def test_selected_namespaces_are_resolved(self, worlds: Worlds) -> None:
        for name, team in (("red-1", "red"), ("red-2", "red"), ("blue", "blue")):
            worlds.put(NAMESPACES, "", name, metadata={"labels": {"team": team}})
        term = self.term(worlds, labelSelector={}, namespaceSelector={"matchLabels": {"team": "red"}})
        assert self.namespaces(term) == ["red-1", "red-2"]

    def test_an_empty_namespace_selector_is_all_of_the_tenants_namespaces(self, worlds: Worlds) -> None:
        term = self.term(worlds, labelSelector={}, namespaceSelector={})
        assert self.namespaces(term) is None
        assert term["labelSelector"]["matchLabels"] == OURS

    def test_a_namespace_selector_that_matches_none_selects_no_pod(self, worlds: Worlds) -> None:
        assert "labelSelector" not in self.term(
            worlds, labelSelector={}, namespaceSelector={"matchLabels": {"team": "none"}}
        )

    def test_label_keys_are_resolved_once(self, worlds: Worlds) -> None:
        merged = {"key": "rev", "operator": "In", "values": ["7"]}
        for selector in ({}, {"matchExpressions": [merged]}):
            term = self.term(worlds, labelSelector=selector, matchLabelKeys=["rev"])
            assert term["labelSelector"]["matchExpressions"].count(merged) == 1
            assert "matchLabelKeys" not in term

    def test_spreading_counts_pods_of_its_own_namespace(self, worlds: Worlds) -> None:
        constraint = {"maxSkew": 1, "topologyKey": "zone", "labelSelector": {"matchLabels": {"app": "web"}}}
        (made,) = carried(worlds, topologySpreadConstraints=[constraint])["spec"]["topologySpreadConstraints"]
        assert made["labelSelector"] == {
            "matchLabels": {"app": "web", **OURS},
            "matchExpressions": [{"key": "vcluster-syncer/namespace", "operator": "In", "values": ["default"]}],
        }

    @pytest.mark.parametrize(
        ("private", "policies"), [(True, {"nodeTaintsPolicy"}), (False, {"nodeAffinityPolicy", "nodeTaintsPolicy"})]
    )
    def test_spreading_never_counts_nodes_of_neighbours(self, private: bool, policies: set[str]) -> None:
        worlds = Worlds(tenant(private_nodes=private))
        given = {"nodeAffinityPolicy": "Ignore", "nodeTaintsPolicy": "Honor"}
        constraint = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule", **given}
        (made,) = carried(worlds, topologySpreadConstraints=[constraint])["spec"]["topologySpreadConstraints"]
        assert made.keys() & given.keys() == policies


def test_references_count_whether_or_not_they_exist(worlds: Worlds) -> None:
    made = pod(
        worlds,
        imagePullSecrets=[{"name": "pull"}],
        initContainers=[{"name": "i", "envFrom": [{"secretRef": {"name": "env", "optional": True}}]}],
        volumes=[
            {"name": "a", "configMap": {"name": "files"}},
            {
                "name": "b",
                "projected": {
                    "sources": [{"configMap": {"name": "kube-root-ca.crt"}}, {"serviceAccountToken": {"path": "t"}}]
                },
            },
            {"name": "c", "emptyDir": {}},
        ],
    )
    assert references.of_pod(made) == {
        (SECRETS, Key("default", "pull")),
        (SECRETS, Key("default", "env")),
        (CONFIGMAPS, Key("default", "files")),
        (CONFIGMAPS, Key("default", "kube-root-ca.crt")),
        (SERVICE_ACCOUNTS, Key("default", "default")),
    }

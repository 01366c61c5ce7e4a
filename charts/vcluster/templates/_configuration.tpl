{{/* What the syncer is told: pure data, rendered as JSON. */}}

{{- define "vcluster.configuration" -}}
{{- $name := include "vcluster.name" . -}}
{{- $pki := "/etc/vcluster/pki" -}}
{{- $sync := dict -}}
{{- range $direction, $switches := .Values.sync -}}
{{- $part := dict -}}
{{- range $switch, $on := $switches -}}
{{- $_ := set $part (snakecase $switch) $on -}}
{{- end -}}
{{- $_ := set $sync (snakecase $direction) $part -}}
{{- end -}}
{{- $tenant := dict
  "name" $name
  "virtual" (dict "kubeconfig" (printf "%s/kubeconfig" $pki))
  "nodes" (dict "mode" .Values.nodes.mode)
  "cluster_domain" .Values.clusterDomain
  "kubernetes_service_ip" (include "vcluster.clusterIP" .)
  "dns_service_ip" (.Values.dns.enabled | ternary (include "vcluster.dnsIP" .) nil)
  "gateway" (dict
    "address" "127.0.0.1"
    "port" 10250
    "certificate" (printf "%s/kubelet.crt" $pki)
    "key" (printf "%s/kubelet.key" $pki)
    "client_authority" (printf "%s/kubelet-ca.crt" $pki)) -}}
{{- if or .Values.metrics.pods .Values.metrics.nodes -}}
{{- $_ := set $tenant "metrics" (dict
  "pods" .Values.metrics.pods
  "nodes" .Values.metrics.nodes
  "authority" (printf "%s/kubelet-ca.crt" $pki)
  "endpoint" (dict
    "address" "127.0.0.1"
    "port" 10251
    "certificate" (printf "%s/kubelet.crt" $pki)
    "key" (printf "%s/kubelet.key" $pki)
    "client_authority" (printf "%s/front-proxy-ca.crt" $pki))) -}}
{{- end -}}
{{- if .Values.sync.toHost.namespaces -}}
{{- $_ := set $tenant "namespaces" (dict "mode" "each" "pattern" .Values.namespaces.pattern) -}}
{{- end -}}
{{- range $field, $mappings := dict "from_host" .Values.imports "to_host" .Values.exports -}}
{{- $shown := dict -}}
{{- range $kind, $names := $mappings -}}
{{- if $names -}}{{- $_ := set $shown (lower $kind) $names -}}{{- end -}}
{{- end -}}
{{- if $shown -}}{{- $_ := set $tenant $field $shown -}}{{- end -}}
{{- end -}}
{{- $https := dict "name" "https" "port" 6443 "protocol" "TCP" -}}
{{- $endpoints := list (dict "namespace" "default" "name" "kubernetes" "ports" (list $https)) -}}
{{- $objects := list -}}
{{- if .Values.dns.enabled -}}
{{- $udp := dict "name" "dns" "port" 1053 "protocol" "UDP" -}}
{{- $tcp := dict "name" "dns-tcp" "port" 1053 "protocol" "TCP" -}}
{{- $endpoints = append $endpoints (dict "namespace" "kube-system" "name" "kube-dns" "ports" (list $udp $tcp)) -}}
{{- $objects = include "vcluster.dnsObjects" . | fromYamlArray -}}
{{- end -}}
{{- $admin := dict "name" "admin" "port" 8443 "protocol" "TCP" -}}
{{- $hostServices := list
  (dict "name" $name "ports" (list $https))
  (dict "name" (printf "%s-admin" $name) "ports" (list $admin)) -}}
{{- if .Values.service.nodePorts -}}
{{- $api := dict "name" "api" "port" 6443 "protocol" "TCP" -}}
{{- $hostServices = append $hostServices (dict "name" (printf "%s-node" $name) "ports" (list $api $admin)) -}}
{{- end -}}
{{- $pod := dict "tenant" $tenant "objects" $objects "endpoints" $endpoints "host_services" $hostServices -}}
{{- if ne .Values.store.mode "external" -}}
{{- $_ := set $pod "store" (dict "etcd" "/run/vcluster/etcd.sock" "open" "/run/vcluster/store.sock" "prefix" "/registry/") -}}
{{- end -}}
{{- if eq .Values.store.mode "etcd" -}}
{{- /* Whoever writes stands still while the state is put back; all that remembers it must have nothing left to do. */ -}}
{{- $frozen := list "kube-controller-manager" -}}
{{- if .Values.scheduler.enabled -}}{{- $frozen = append $frozen "kube-scheduler" -}}{{- end -}}
{{- $commands := dict "freeze" $frozen "rest" (concat (list "kube-apiserver") $frozen) -}}
{{- $recycle := dict "commands" $commands -}}
{{- if include "vcluster.audited" . -}}{{- $_ := set $recycle "audit" "/run/vcluster/audit.log" -}}{{- end -}}
{{- $_ := set $tenant "recycle" $recycle -}}
{{- /* Whoever has the cluster next does not wait until the pods before have ended. */ -}}
{{- $_ := set $tenant "drain" "background" -}}
{{- end -}}
{{- if .Values.seed.secret -}}
{{- $_ := set $pod "seed" "/etc/vcluster/seed/state.json.gz" -}}
{{- end -}}
{{- $adminAPI := dict
  "address" "0.0.0.0"
  "port" 8443
  "certificate" (printf "%s/admin-api.crt" $pki)
  "key" (printf "%s/admin-api.key" $pki)
  "client_authority" (printf "%s/admin-api-ca.crt" $pki) -}}
{{- $configuration := dict
  "host" (dict "in_cluster" true)
  "admin" $adminAPI
  "probes" (dict "address" "0.0.0.0" "port" 8080)
  "sync" $sync
  "patrol_seconds" .Values.syncer.patrolSeconds
  "log_level" .Values.syncer.logLevel
  "owner" $name
  "pod" $pod -}}
{{- if .Values.heartbeat.lease -}}
{{- $_ := set $configuration "heartbeat" (dict "lease" .Values.heartbeat.lease "seconds" .Values.heartbeat.seconds) -}}
{{- end -}}
{{- toPrettyJson $configuration -}}
{{- end -}}

{{/* What CoreDNS needs in the virtual cluster. */}}
{{- define "vcluster.dnsObjects" -}}
- apiVersion: v1
  kind: Service
  metadata:
    name: kube-dns
    namespace: kube-system
    labels: {k8s-app: kube-dns, kubernetes.io/cluster-service: "true", kubernetes.io/name: CoreDNS}
  spec:
    clusterIP: {{ include "vcluster.dnsIP" . }}
    ports:
      - {name: dns, port: 53, targetPort: 1053, protocol: UDP}
      - {name: dns-tcp, port: 53, targetPort: 1053, protocol: TCP}
- apiVersion: rbac.authorization.k8s.io/v1
  kind: ClusterRole
  metadata:
    name: system:coredns
  rules:
    - {apiGroups: [""], resources: [endpoints, services, pods, namespaces], verbs: [list, watch]}
    - {apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [list, watch]}
- apiVersion: rbac.authorization.k8s.io/v1
  kind: ClusterRoleBinding
  metadata:
    name: system:coredns
  roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: system:coredns}
  subjects:
    - {apiGroup: rbac.authorization.k8s.io, kind: User, name: system:coredns}
{{- end -}}

{{/* Names of the virtual cluster are never cached: a test asks for what it has just made. */}}
{{- define "vcluster.corefile" -}}
.:1053 {
    errors
    ready :8181
    kubernetes {{ .Values.clusterDomain }} in-addr.arpa ip6.arpa {
        kubeconfig /etc/vcluster/pki/coredns.kubeconfig
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
        ttl 5
    }
    forward . {{ .Values.dns.forward }}
    cache 30 {
        disable success {{ .Values.clusterDomain }}
        disable denial {{ .Values.clusterDomain }}
    }
    loadbalance
}
{{- end -}}

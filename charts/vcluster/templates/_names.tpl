{{/* The name of the cluster, and of its root object, the Service: that of the release. */}}
{{- define "vcluster.name" -}}
{{- if gt (len .Release.Name) 40 -}}
{{- fail (printf "The release name %q has %d characters. Give the virtual cluster a name of at most 40: names of what it makes on the host are made from it." .Release.Name (len .Release.Name)) -}}
{{- end -}}
{{- .Release.Name -}}
{{- end -}}

{{- define "vcluster.selector" -}}
app.kubernetes.io/name: vcluster
app.kubernetes.io/instance: {{ include "vcluster.name" . }}
{{- end -}}

{{/* A label that no pod of a virtual cluster can have on the host: the syncer spells users' labels of this prefix
differently. Without it whoever may label a pod could take requests that are for a neighbour's API server. */}}
{{- define "vcluster.controlPlane" -}}
vcluster-syncer/control-plane: {{ include "vcluster.name" . }}
{{- end -}}

{{/* How Services find the pod. */}}
{{- define "vcluster.pods" -}}
{{ include "vcluster.selector" . }}
{{ include "vcluster.controlPlane" . }}
{{- end -}}

{{- define "vcluster.labels" -}}
{{ include "vcluster.selector" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Values.version | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | quote }}
{{- with .Values.labels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* metadata of an object: (list $ "suffix of its name") */}}
{{- define "vcluster.metadata" -}}
{{- $root := index . 0 -}}
name: {{ include "vcluster.name" $root }}{{ index . 1 }}
namespace: {{ $root.Release.Namespace }}
labels:
  {{- include "vcluster.labels" $root | nindent 2 }}
{{- end -}}

{{/* Name of what is not in a namespace. */}}
{{- define "vcluster.clusterScopedName" -}}
vcluster:{{ .Release.Namespace }}:{{ include "vcluster.name" . }}
{{- end -}}

{{- define "vcluster.pki" -}}
{{- .Values.certificates.secret | default (printf "%s-pki" (include "vcluster.name" .)) -}}
{{- end -}}

{{/* The address that is so far into the block of service addresses: (list $ 1) */}}
{{- define "vcluster.address" -}}
{{- $root := index . 0 -}}
{{- $octets := splitList "." (first (splitList "/" $root.Values.serviceCIDR)) -}}
{{- printf "%s.%s.%s.%d" (index $octets 0) (index $octets 1) (index $octets 2) (add (atoi (index $octets 3)) (index . 1)) -}}
{{- end -}}

{{- define "vcluster.clusterIP" -}}
{{- .Values.service.clusterIP | default (include "vcluster.address" (list . 1)) -}}
{{- end -}}

{{- define "vcluster.dnsIP" -}}
{{- .Values.dns.clusterIP | default (include "vcluster.address" (list . 10)) -}}
{{- end -}}

{{/* Refuses values that are each allowed but don't go together. */}}
{{- define "vcluster.check" -}}
{{- if and (eq .Values.store.mode "external") (not .Values.store.external.endpoints) -}}
{{- fail "store.mode is external: name the etcd in store.external.endpoints, e.g. [https://etcd.example:2379]." -}}
{{- end -}}
{{- if and .Values.seed.secret (ne .Values.store.mode "etcd") -}}
{{- fail (printf "seed.secret needs store.mode etcd, it is %s: a state can only be put into an etcd of the cluster's own." .Values.store.mode) -}}
{{- end -}}
{{- if and .Values.seed.secret .Values.store.persistence.enabled -}}
{{- fail "seed.secret and store.persistence.enabled don't go together: what is on the volume would be overwritten." -}}
{{- end -}}
{{- if and .Values.store.persistence.enabled (eq .Values.store.mode "external") -}}
{{- fail "store.persistence.enabled is for the cluster's own store, and store.mode is external." -}}
{{- end -}}
{{- if and .Values.certificates.secret (or .Values.certificates.extraNames .Values.certificates.extraIPs) -}}
{{- fail "certificates.extraNames and extraIPs are for the certificate that the chart makes, and certificates.secret names an existing one." -}}
{{- end -}}
{{- if and .Values.sync.toHost.priorityClasses .Values.sync.fromHost.priorityClasses -}}
{{- fail "sync.toHost.priorityClasses and sync.fromHost.priorityClasses can't both be on: they go one way only." -}}
{{- end -}}
{{- if and .Values.exports.services .Values.sync.toHost.namespaces -}}
{{- fail "exports.services and sync.toHost.namespaces don't go together: what they lead to is in namespaces of its own." -}}
{{- end -}}
{{- if and .Values.sync.toHost.persistentVolumes .Values.sync.fromHost.persistentVolumes -}}
{{- fail "sync.toHost.persistentVolumes and sync.fromHost.persistentVolumes can't both be on: they go one way only." -}}
{{- end -}}
{{- end -}}

{{/* Command lines: those of pytest_vcluster/controlplane, with the paths and addresses of the pod; a test compares. */}}

{{/* Further flags of a component: .extraArgs as a YAML list */}}
{{- define "vcluster.extraArgs" -}}
{{- range $name, $value := . }}
- {{ printf "--%s=%v" $name $value | quote }}
{{- end }}
{{- end -}}

{{- define "vcluster.arguments.etcd" -}}
- --name=run
- --data-dir={{ include "vcluster.dataFolder" . }}/etcd
- --listen-client-urls=unix:///run/vcluster/etcd.sock
- --advertise-client-urls=http://localhost:1
- --listen-peer-urls=unix:///run/vcluster/etcd-peer.sock
- --initial-advertise-peer-urls=http://localhost:1
- --initial-cluster=run=http://localhost:1
{{- if not .Values.store.persistence.enabled }}
- --unsafe-no-fsync=true
{{- end }}
- --heartbeat-interval=5
- --election-timeout=25
- --max-txn-ops=20000
- --max-request-bytes=67108864
- --quota-backend-bytes=8589934592
- --snapshot-count=100000
- --log-level=warn
{{- include "vcluster.extraArgs" .Values.etcd.extraArgs }}
{{- end -}}

{{- define "vcluster.arguments.kine" -}}
{{- $synchronous := ternary "NORMAL" "OFF" .Values.store.persistence.enabled }}
- --endpoint=sqlite://{{ include "vcluster.dataFolder" . }}/state.db?_journal_mode=WAL&_busy_timeout=30000&_synchronous={{ $synchronous }}&_txlock=immediate&cache=shared
- --listen-address=unix:///run/vcluster/etcd.sock
- --metrics-bind-address=0
{{- include "vcluster.extraArgs" .Values.kine.extraArgs }}
{{- end -}}

{{- define "vcluster.arguments.kube-apiserver" -}}
- --bind-address=0.0.0.0
- --secure-port=6443
{{- if eq .Values.store.mode "external" }}
- --etcd-servers={{ join "," .Values.store.external.endpoints }}
- --etcd-prefix={{ .Values.store.external.prefix | default (printf "/vcluster/%s/%s" .Release.Namespace (include "vcluster.name" .)) }}
{{- if .Values.store.external.secret }}
- --etcd-cafile=/etc/vcluster/store/ca.crt
- --etcd-certfile=/etc/vcluster/store/tls.crt
- --etcd-keyfile=/etc/vcluster/store/tls.key
{{- end }}
{{- else }}
{{- /* A link that the syncer makes when the seed is in. Where there is none it is not waited for: the API server tries
again only after 1 s, 1.6 s, 2.6 s and so on. */}}
- --etcd-servers=unix:///run/vcluster/{{ ternary "store.sock" "etcd.sock" (not (empty .Values.seed.secret)) }}
- --etcd-prefix=/registry
{{- end }}
- --etcd-compaction-interval={{ include "vcluster.compactionInterval" . }}
- --etcd-count-metric-poll-period=0
- --etcd-db-metric-poll-interval=0
- --tls-cert-file=/etc/vcluster/pki/apiserver.crt
- --tls-private-key-file=/etc/vcluster/pki/apiserver.key
- --client-ca-file=/etc/vcluster/pki/client-ca.crt
- --requestheader-client-ca-file=/etc/vcluster/pki/front-proxy-ca.crt
- --requestheader-allowed-names=front-proxy-client
- --requestheader-username-headers=X-Remote-User
- --requestheader-group-headers=X-Remote-Group
- --requestheader-extra-headers-prefix=X-Remote-Extra-
- --proxy-client-cert-file=/etc/vcluster/pki/front-proxy-client.crt
- --proxy-client-key-file=/etc/vcluster/pki/front-proxy-client.key
- --kubelet-preferred-address-types=Kubelet
- --kubelet-certificate-authority=/etc/vcluster/pki/kubelet-ca.crt
- --kubelet-client-certificate=/etc/vcluster/pki/kubelet-client.crt
- --kubelet-client-key=/etc/vcluster/pki/kubelet-client.key
- --service-account-issuer=https://kubernetes.default.svc.{{ .Values.clusterDomain }}
- --service-account-key-file=/etc/vcluster/pki/service-accounts.pub
- --service-account-signing-key-file=/etc/vcluster/pki/service-accounts.key
- --service-cluster-ip-range={{ .Values.serviceCIDR }}
- --authorization-mode=Node,RBAC
- --allow-privileged=true
- --endpoint-reconciler-type=none
- --feature-gates=APIServerIdentity=false,UnknownVersionInteroperabilityProxy=false
- --enable-priority-and-fairness=false
- --max-requests-inflight=0
- --max-mutating-requests-inflight=0
- --delete-collection-workers=8
- --profiling=false
- --v=0
{{- if include "vcluster.audited" . }}
- --audit-policy-file=/etc/vcluster/config/audit-policy.json
- --audit-log-path=/run/vcluster/audit.log
{{- end }}
{{- if not .Values.certificates.secret }}
- --token-auth-file=/etc/vcluster/pki/tokens.csv
{{- end }}
{{- include "vcluster.extraArgs" .Values.apiserver.extraArgs }}
{{- end -}}

{{/* All controllers that are on by default, but for what is the host's; from 1.37 on those of clouds are gone. */}}
{{- define "vcluster.controllers" -}}
{{- if .Values.controllerManager.controllers -}}
{{- join "," .Values.controllerManager.controllers -}}
{{- else -}}
*,-node-ipam-controller,-node-lifecycle-controller,-persistentvolume-attach-detach-controller,-persistentvolume-binder-controller,-persistentvolume-expander-controller,-ttl-controller
{{- if le (atoi (index (splitList "." .Values.version) 1)) 36 -}}
,-cloud-node-lifecycle-controller,-node-route-controller,-service-lb-controller
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "vcluster.arguments.kube-controller-manager" -}}
- --kubeconfig=/etc/vcluster/pki/controller-manager.kubeconfig
- --controllers={{ include "vcluster.controllers" . }}
- --service-account-private-key-file=/etc/vcluster/pki/service-accounts.key
- --root-ca-file=/etc/vcluster/pki/server-ca.crt
- --cluster-signing-cert-file=/etc/vcluster/pki/client-ca.crt
- --cluster-signing-key-file=/etc/vcluster/pki/client-ca.key
- --use-service-account-credentials=false
- --leader-elect=false
- --secure-port=0
- --kube-api-qps=5000
- --kube-api-burst=10000
- --concurrent-deployment-syncs=10
- --concurrent-replicaset-syncs=10
- --concurrent-statefulset-syncs=10
- --concurrent-namespace-syncs=10
- --concurrent-gc-syncs=10
- --profiling=false
- --v=0
{{- include "vcluster.extraArgs" .Values.controllerManager.extraArgs }}
{{- end -}}

{{- define "vcluster.arguments.kube-scheduler" -}}
- --kubeconfig=/etc/vcluster/pki/kubeconfig
- --leader-elect=false
- --secure-port=0
- --kube-api-qps=5000
- --kube-api-burst=10000
- --profiling=false
- --v=0
{{- include "vcluster.extraArgs" .Values.scheduler.extraArgs }}
{{- end -}}

{{/* Where the cluster's own store has its data. */}}
{{- define "vcluster.dataFolder" -}}
{{- if .Values.store.persistence.enabled }}/var/lib/vcluster{{ else }}/run/vcluster{{ end -}}
{{- end -}}

{{/* Whether the API server notes what putting the cluster back has to know. A cluster that lives long has no use for it. */}}
{{- define "vcluster.audited" -}}
{{- if and (eq .Values.store.mode "etcd") (not .Values.store.persistence.enabled) -}}true{{- end -}}
{{- end -}}

{{/* etcd's history only matters to what lives long; a store of others is compacted by them or us as is usual. */}}
{{- define "vcluster.compactionInterval" -}}
{{- $isBrief := and (ne .Values.store.mode "external") (not .Values.store.persistence.enabled) -}}
{{- .Values.store.compactionInterval | default (ternary "0" "5m0s" $isBrief) -}}
{{- end -}}

{{/* What /readyz is asked: a seeded server has already what two slow hooks make. */}}
{{- define "vcluster.readyPath" -}}
/readyz
{{- if .Values.seed.secret -}}
?exclude=poststarthook/rbac/bootstrap-roles&exclude=poststarthook/scheduling/bootstrap-system-priority-classes
{{- end -}}
{{- end -}}

"""The built-in kinds that a lease may make objects of.

The one rule: every kind that a default API server lets one create and keep is here; `tests/integration` holds it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind, as far as a request needs it."""

    plural: str
    api_version: str
    kind: str
    namespaced: bool = True

    def path(self, *, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """The path of all of them, of one, or of a part of one."""
        root = f"/apis/{self.api_version}" if "/" in self.api_version else f"/api/{self.api_version}"
        scope = (f"namespaces/{namespace}",) if self.namespaced and namespace else ()
        return "/".join((root, *scope, self.plural, *filter(None, (name, subresource))))


_NAMESPACED = """
v1 configmaps ConfigMap
v1 endpoints Endpoints
v1 events Event
v1 limitranges LimitRange
v1 persistentvolumeclaims PersistentVolumeClaim
v1 pods Pod
v1 podtemplates PodTemplate
v1 replicationcontrollers ReplicationController
v1 resourcequotas ResourceQuota
v1 secrets Secret
v1 serviceaccounts ServiceAccount
v1 services Service
apps/v1 controllerrevisions ControllerRevision
apps/v1 daemonsets DaemonSet
apps/v1 deployments Deployment
apps/v1 replicasets ReplicaSet
apps/v1 statefulsets StatefulSet
autoscaling/v2 horizontalpodautoscalers HorizontalPodAutoscaler
batch/v1 cronjobs CronJob
batch/v1 jobs Job
coordination.k8s.io/v1 leases Lease
discovery.k8s.io/v1 endpointslices EndpointSlice
networking.k8s.io/v1 ingresses Ingress
networking.k8s.io/v1 networkpolicies NetworkPolicy
policy/v1 poddisruptionbudgets PodDisruptionBudget
rbac.authorization.k8s.io/v1 rolebindings RoleBinding
rbac.authorization.k8s.io/v1 roles Role
resource.k8s.io/v1 resourceclaims ResourceClaim
resource.k8s.io/v1 resourceclaimtemplates ResourceClaimTemplate
storage.k8s.io/v1 csistoragecapacities CSIStorageCapacity
"""
_OF_THE_CLUSTER = """
v1 namespaces Namespace
v1 nodes Node
v1 persistentvolumes PersistentVolume
admissionregistration.k8s.io/v1 mutatingadmissionpolicies MutatingAdmissionPolicy
admissionregistration.k8s.io/v1 mutatingadmissionpolicybindings MutatingAdmissionPolicyBinding
admissionregistration.k8s.io/v1 mutatingwebhookconfigurations MutatingWebhookConfiguration
admissionregistration.k8s.io/v1 validatingadmissionpolicies ValidatingAdmissionPolicy
admissionregistration.k8s.io/v1 validatingadmissionpolicybindings ValidatingAdmissionPolicyBinding
admissionregistration.k8s.io/v1 validatingwebhookconfigurations ValidatingWebhookConfiguration
apiextensions.k8s.io/v1 customresourcedefinitions CustomResourceDefinition
apiregistration.k8s.io/v1 apiservices APIService
certificates.k8s.io/v1 certificatesigningrequests CertificateSigningRequest
flowcontrol.apiserver.k8s.io/v1 flowschemas FlowSchema
flowcontrol.apiserver.k8s.io/v1 prioritylevelconfigurations PriorityLevelConfiguration
networking.k8s.io/v1 ingressclasses IngressClass
networking.k8s.io/v1 ipaddresses IPAddress
networking.k8s.io/v1 servicecidrs ServiceCIDR
node.k8s.io/v1 runtimeclasses RuntimeClass
rbac.authorization.k8s.io/v1 clusterrolebindings ClusterRoleBinding
rbac.authorization.k8s.io/v1 clusterroles ClusterRole
resource.k8s.io/v1 deviceclasses DeviceClass
resource.k8s.io/v1 resourceslices ResourceSlice
scheduling.k8s.io/v1 priorityclasses PriorityClass
storage.k8s.io/v1 csidrivers CSIDriver
storage.k8s.io/v1 csinodes CSINode
storage.k8s.io/v1 storageclasses StorageClass
storage.k8s.io/v1 volumeattachments VolumeAttachment
storage.k8s.io/v1 volumeattributesclasses VolumeAttributesClass
"""


def _kinds(table: str, *, namespaced: bool) -> dict[str, Kind]:
    rows = (line.split() for line in table.strip().splitlines())
    return {plural: Kind(plural, api_version, kind, namespaced) for api_version, plural, kind in rows}


KINDS = _kinds(_NAMESPACED, namespaced=True) | _kinds(_OF_THE_CLUSTER, namespaced=False)
"""By plural; no two of these kinds share one."""

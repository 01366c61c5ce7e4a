"""The kubelet of all virtual nodes, as far as API servers talk to kubelets: logs, exec, attach, port-forward.

The one rule: it translates names and nothing else. What a virtual API server asks of a kubelet is asked of the host's
API server about the host's pod, and from there on bytes pass as they are; no protocol of streams is spoken here.
"""

"""A Kubernetes control plane as processes: what to run, with which arguments, certificates and stored state.

The one rule: what a component is told is a pure function of values (one file a component); only `plane`, `api` and
`datastore` touch the outside.
"""

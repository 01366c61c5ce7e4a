"""The syncer as a part of a pod that is one virtual cluster: it starts the cluster, watches over it, and ends it.

The one rule: nothing else in the syncer knows of it. What is here uses the other parts as the admin API does.
"""

"""Carries the pods, services and other host-bound objects of virtual clusters on one host cluster.

The one rule: it stands alone. It is started with a configuration file, by a plugin or in a pod, and imports neither.
"""

"""Where the pods of virtual clusters run: one module a kind of host, all behind the same few methods.

The one rule: what a test can see does not depend on the host; only what it takes to get there does.
"""

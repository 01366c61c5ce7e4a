"""The soak: random leases against one run service, each cluster compared with a fresh one when it is handed out.

It proves what no single test can: that nothing that a lease may do to its cluster is seen by the next one. The one
rule: what a lease does follows from its seed alone, so that whatever was found can be looked for again.
"""

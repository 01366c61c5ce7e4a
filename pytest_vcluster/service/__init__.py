"""The run service: one process per test run that owns every cluster and every other process of the run.

Client half (`client`, `election`, `protocol`, `runs`): what a pytest worker imports, standard library only. Server half
(`server`, `session`, `pool`, `plan`, `gate`, `processes`, ...): what runs in the service's own process.

The one rule: a lease is a connection. Whoever crashes closes it, and the lease ends; nobody has to clean up.
"""

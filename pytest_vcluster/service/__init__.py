"""The run service: one process per test run that owns every cluster of it, and the client half that workers import.

The one rule: whatever dies, and however, nothing of the run is left two seconds later. Workers import `client` only,
which is synchronous and light; everything else runs in the service's own process.
"""

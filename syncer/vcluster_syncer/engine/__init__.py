"""The half of the syncer that does things: it watches both sides, asks kinds what to do, and does it.

The one rule: the engine knows no kind. All it knows of pods and services is in the records of `translate.KINDS`.
"""

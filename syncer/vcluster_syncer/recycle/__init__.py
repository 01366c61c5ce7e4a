"""Putting a virtual cluster back to exactly the state that its baseline recorded, in place and in milliseconds.

The one rule: what can't be shown to be back is reported as such, with the reason, and must be thrown away.
"""

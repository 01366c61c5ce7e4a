"""Suites of tests that benchmarks have pytest run, each copied into a project of its own.

The one rule: they use what the README shows, as anybody's tests would; their numbers come from the environment.
"""

"""Benchmarks: this project beside what people use today, in one run on one machine.

The one rule: every round measures every contender once, in turns, so that whatever else the machine does hits all
alike. Nothing here asserts a time; the last section of the output sets what was measured beside what was aimed at.
"""

"""What holds for all tests that hypothesis makes up."""

from hypothesis import settings

# A busy machine is no fault of what is tested; speed has its place in the benchmarks.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

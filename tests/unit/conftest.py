"""What holds for all tests that hypothesis makes up."""

from hypothesis import HealthCheck, settings

# A busy machine is no fault of what is tested; speed has its place in the benchmarks.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

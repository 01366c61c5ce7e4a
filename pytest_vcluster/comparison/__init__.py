"""Whether two clusters are alike, by all that their API servers tell.

It proves that a cluster was put back to its baseline: `differences(read(a_fresh_one), read(the_one_in_question))` is
empty. The one rule: below everything that has clusters (the run service, tests, the soak), so that each of them can
compare its own; it knows a server by one method, `call`.
"""

from pytest_vcluster.comparison.differing import differences
from pytest_vcluster.comparison.reading import Caller, read
from pytest_vcluster.comparison.state import ApiState, Schemas

__all__ = ["ApiState", "Caller", "Schemas", "differences", "read"]

"""50,000 x 64 rows against as many within 2 GiB."""

import resource
import subprocess
import sys

import pytest

SCRIPT = """
import resource, torch
from whichloss import metrics as M
torch.set_num_threads(1)
x, y = torch.randn(50_000, 64), torch.randn(50_000, 64)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
M.MmdReference(y.double()[:2000], M.bandwidths(y)).score(x)
M.energy_distance(x[:25_000], y)
M.sliced_w2(x, y, M.directions(64, 64, 0))
M.w1_columns(x, y)
M.neighbours(x, y[:5000])
M.copy_test(x[:5000], x, y)
M.correlation_difference(x, y)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
def test_fifty_thousand_rows_stay_within_two_gibibytes():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert int(done.stdout) * 1024 < 2 << 30
    assert resource.RUSAGE_SELF == 0

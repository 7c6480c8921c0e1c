"""50,000 x 64 rows against as many within 2 GiB."""

import subprocess
import sys

import pytest
import torch

from whichloss.metrics.rows import TILE, tiles

SCRIPT = """
import resource, torch
from whichloss import metrics as M
torch.set_num_threads(1)
generator = torch.Generator().manual_seed(0)
x, y = (torch.randn(50_000, 64, generator=generator) for _ in range(2))
WORK
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
WORK = """
M.mmd(x, y, M.bandwidths(y)), M.sliced_w2(x, y, M.directions(64, 64, 0)), M.w1_columns(x, y)
M.correlation_difference(x, y), M.c2st_accuracy(x, y, 0), M.modes(x[:, :2], y[:2, :2], 0.1)
M.energy_distance(x[:5000], y[:5000]), M.neighbours(x[:5000], y[:5000]), M.copy_test(x[:1000], x, y)
"""


@pytest.mark.parametrize(("n", "m"), [(1, 1), (TILE, TILE), (TILE + 1, 3 * TILE - 1)])
def test_tiles_cover_every_pair_once(n, m):
    seen = torch.zeros(n, m)
    for r, c in tiles(n, m):
        assert max(seen[r, c].shape) <= TILE
        seen[r, c] += 1
    assert (seen == 1).all()


@pytest.mark.slow
def test_fifty_thousand_rows_stay_within_two_gibibytes():
    script = SCRIPT.replace("WORK", WORK)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert int(done.stdout) * 1024 < 2 << 30

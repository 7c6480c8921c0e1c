"""Sheets of pictures: every picture at its place."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from whichloss.report.grids import ACROSS, EDGE, sheet


@pytest.mark.parametrize("channels", [1, 3])
def test_a_sheet_holds_the_pictures_in_order(channels):
    x = np.random.default_rng(0).integers(0, 256, (10, channels, 4, 5)).astype(np.uint8)
    found = sheet(x.reshape(10, -1), (channels, 4, 5), "name", "objective")
    page = np.asarray(Image.open(io.BytesIO(base64.b64decode(found.uri.partition(",")[2]))))
    page = page.reshape(*page.shape[:2], channels)
    assert found.count == 10 and page.shape[:2] == (2 * 5 + EDGE, ACROSS * 6 + EDGE)
    last = page[6:10, 1 + 6 : 6 + 6]  # the 10th: second line, second place
    assert (last == x[9].transpose(1, 2, 0)).all()

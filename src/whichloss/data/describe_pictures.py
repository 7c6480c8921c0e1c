"""What was understood of pictures, and what looks wrong with them, in plain English."""

from dataclasses import dataclass

import numpy as np

from whichloss.data.pictures import Pictures
from whichloss.data.pixels import blocks_of, marks, said, shade

DARK = 32  # the brightest level below which pictures look as if their levels were not stretched to 0 .. 255


@dataclass(frozen=True)
class PictureDescription:
    """What `describe` found of pictures; classes: name -> how many."""

    source: str
    pictures: int
    shape: tuple[int, int, int]
    lowest: int
    highest: int
    mean: float
    distinct_levels: int
    blank: int
    duplicates: int
    classes: dict[str, int]
    concerns: tuple[str, ...]
    notes: tuple[str, ...]

    def lines(self) -> list[str]:
        """The description for a terminal, one fact a line."""
        channels, height, width = self.shape
        kind = f"{shade(self.shape)} ({channels} channel{'s' * (channels > 1)})"
        out = [
            f"{self.source}: {self.pictures:,} pictures of {said((height, width))} (height x width), {kind}, encoded "
            f"as {channels * height * width:,} numbers.",
            f"  levels: {self.lowest} to {self.highest} of 0 to 255, mean {self.mean:.1f}, "
            f"{self.distinct_levels} distinct.",
        ]
        if self.classes:
            shown = [f"{name} ({count:,})" for name, count in self.classes.items()]
            out.append(f"  classes: {len(shown)}: {', '.join(shown[:20])}{', ...' * (len(shown) > 20)}.")
        else:
            out.append("  classes: none. Labels are sub-folders named after their classes, or an IDX file of labels.")
        share = self.duplicates / self.pictures
        repeats = "none" if not self.duplicates else f"{self.duplicates:,} ({share:.1%}) equal to an earlier picture"
        out.append(f"Exact duplicates: {repeats}.")
        out += [f"Suspicious: {concern}" for concern in self.concerns]
        return out + [f"Note: {note}" for note in self.notes]


def describe_pictures(pictures: Pictures) -> PictureDescription:
    """Count, size, channels, levels, classes, blank and repeated pictures; reads them block by block."""
    counts, blank = np.zeros(256, np.int64), 0
    for block in blocks_of(pictures.values):
        counts += np.bincount(block.reshape(-1), minlength=256)
        blank += int((block == block[:, :1]).all(axis=1).sum())
    levels = np.flatnonzero(counts)
    classes = {}
    if pictures.labels is not None:
        sizes = np.bincount(pictures.labels, minlength=len(pictures.classes)).tolist()
        classes = dict(zip(pictures.classes, sizes, strict=True))
    lowest, highest = int(levels[0]), int(levels[-1])
    concerns = []
    if highest < DARK:
        concerns.append(
            f"no pixel is brighter than {highest} of 255: nearly black. If white is {highest}, stretch the levels to "
            "0 to 255."
        )
    if blank:
        are = "1 picture is" if blank == 1 else f"{blank:,} pictures are"
        concerns.append(f"{are} of one level all over. Remove {'it' if blank == 1 else 'them'}, if nothing is shown.")
    return PictureDescription(
        pictures.source,
        len(pictures),
        pictures.shape,
        lowest,
        highest,
        float(counts @ np.arange(256) / counts.sum()),
        len(levels),
        blank,
        len(pictures) - len(np.unique(marks(pictures.values))),
        classes,
        tuple(concerns),
        pictures.notes,
    )

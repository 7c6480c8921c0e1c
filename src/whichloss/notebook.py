"""The live display in a notebook: the same table as in the terminal, and samples beside real rows as they come."""

import html
import time
from collections.abc import Mapping, Sequence
from io import StringIO
from typing import Any

import numpy as np
from rich.console import Console

from .data import Pictures
from .live import Terminal, measured_lines
from .report.grids import sheet
from .study.judge import Judge, Preflight
from .study.plan import Group, Plan
from .study.store import Store
from .task import Finding

SIDE, POINTS, MANY = 150, 300, 16
PAUSE = 0.5  # seconds between two pictures of progress: each travels to the browser whole


class Notebook(Terminal):
    """A watcher that redraws one notebook output in place."""

    def __init__(self) -> None:
        from IPython.display import display

        super().__init__(Console(file=StringIO(), force_jupyter=False))  # or rich would display by itself
        show: Any = display
        self.handle: Any = show({"text/html": "planning"}, raw=True, display_id=True)
        self.pictures: dict[str, str] = {}
        self.shape: tuple[int, int, int] | None = None
        self.lines: list[str] = []
        self.store: Store | None = None
        self.drawn = 0.0

    def planned(self, plan: Plan, judge: Judge, store: Store) -> None:
        """Draw the real rows first."""
        self.store = store
        if judge.goal != "generate":  # no rows are drawn
            self.draw()
            return
        if isinstance(judge.table, Pictures):
            self.shape = judge.table.shape
            self.pictures["real pictures"] = self.picture(judge.table.values[judge.rest[:MANY]])
            self.draw()
            return
        values = judge.table.values[judge.rest]
        varying = [j for j, c in enumerate(judge.table.schema.columns) if not c.constant][:2]
        self.columns = varying
        known = values[:, varying]
        self.low, self.high = np.nanmin(known, axis=0), np.nanmax(known, axis=0)
        self.pictures["real rows"] = self.picture(values)
        self.draw()

    def progress(self, group: Group, step: int, steps: int) -> None:
        """A group is under way."""
        self.share[group.id] = step / steps
        if time.monotonic() - self.drawn > PAUSE:
            self.draw()

    def finished(self, group: Group, records: Sequence[Mapping[str, Any]]) -> None:
        """A group is on disk: draw its first sample."""
        super().finished(group, records)
        assert self.store is not None
        if self.pictures and group.stage != "tune" and not records[0]["failed"]:
            values = self.store.read(group.runs[0].id)[1]["samples"]
            self.pictures[group.runs[0].objective] = self.picture(values)
        self.draw()

    def measured(self, preflight: Preflight) -> None:
        """What was measured before training."""
        self.lines += measured_lines(preflight)
        self.draw()

    def found(self, finding: Finding) -> None:
        """A finding appears."""
        self.lines.append(f"{finding.level}: {finding.objective}: {finding.says} {finding.remedy}")

    def note(self, text: str) -> None:
        """Something worth knowing."""
        self.lines.append(text)

    def draw(self) -> None:
        """Redraw everything."""
        self.drawn = time.monotonic()
        console = Console(file=StringIO(), record=True, width=100, force_jupyter=False)
        console.print(self.grid())
        body = console.export_html(inline_styles=True, code_format="<pre>{code}</pre>")
        pictures = "".join(
            f'<figure style="display:inline-block;margin:4px;text-align:center">{svg}'
            f"<figcaption>{html.escape(name)}</figcaption></figure>"
            for name, svg in self.pictures.items()
        )
        notes = "".join(f"<p>{html.escape(line)}</p>" for line in self.lines)
        self.handle.update({"text/html": body + pictures + notes}, raw=True)

    def picture(self, values: np.ndarray) -> str:
        """The first two columns as a scatter plot, or the only one as a histogram; same axes for all. Or pictures."""
        if self.shape:
            page = sheet(values[:MANY], self.shape, "", "")
            return f'<img src="{page.uri}" width="{2 * SIDE}" style="image-rendering:pixelated" alt="">'
        known = values[:, self.columns]
        known = known[~np.isnan(known).any(axis=1)]
        spread = np.where(self.high > self.low, self.high - self.low, 1.0)
        at = (known - self.low) / spread * 0.9 + 0.05
        if len(self.columns) == 1:
            counts, _ = np.histogram(at[:, 0], bins=40, range=(0.0, 1.0))
            tall = counts / max(1, counts.max()) * (SIDE - 10)
            marks = "".join(
                f'<rect x="{k * SIDE / 40:.1f}" y="{SIDE - h:.1f}" width="{SIDE / 40:.1f}" height="{h:.1f}"/>'
                for k, h in enumerate(tall)
            )
        else:
            dots = at[:POINTS] * SIDE
            marks = "".join(f'<circle cx="{x:.1f}" cy="{SIDE - y:.1f}" r="1.3"/>' for x, y in dots)
        style = "border:1px solid #8888;fill:#3b6fb6"
        return f'<svg width="{SIDE}" height="{SIDE}" style="{style}">{marks}</svg>'

"""Room for words in a plot: each is put beside its point, where it covers no other word, no path
and no edge.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke
from matplotlib.transforms import Bbox

SIZE = 8.0  # points, of the letters
LETTER = (0.66, 1.15)  # of SIZE: width and height of a letter, with a little air
# From the point to the word, in points: first near it, then farther off.
FAR = (5.0, 14.0, 26.0, 40.0)
# On which side of its point a word stands, the best first.
SIDES = ((1, 1), (-1, -1), (1, 0), (-1, 0), (0, 1), (0, -1), (1, -1), (-1, 1))
STEP = 3.0  # pixels between the points that a path is taken for
ALIGNED = {-1: ("right", "top"), 0: ("center", "center"), 1: ("left", "bottom")}


class Room:
    """The room of a panel that was drawn once; paths, each (n, 2) in its data, are not to be
    written over.
    """

    def __init__(self, axis: Axes, paths: Sequence[np.ndarray]):
        self.axis = axis
        self.pixels = axis.get_figure(root=True).dpi / 72  # type: ignore[union-attr]  # a point
        self.ends = axis.transData.transform(np.concatenate(paths))
        self.points = np.concatenate([_along(axis.transData.transform(path)) for path in paths])
        self.taken: list[Bbox] = []

    def write(self, word: str, at: tuple[float, float], **style: Any) -> bool:
        """Write a word beside a place, with a thin line to it where it stands far off; whether
        there was room.
        """
        for far in FAR:
            for side in SIDES:
                place = self.axis.transData.transform(at)
                box = self._box(word, place, side, far)
                if self._free(box) and self._own(box, place):
                    self.taken.append(box)
                    self._put(word, at, (side[0] * far, side[1] * far), side, **style)
                    return True
        return False

    def _box(self, word: str, place: np.ndarray, side: tuple[int, int], far: float) -> Bbox:
        """Where the word would stand, in pixels."""
        size = self.pixels * SIZE * np.array([LETTER[0] * len(word), LETTER[1]])
        corner = place + self.pixels * far * np.array(side) + size * (np.array(side) - 1) / 2
        return Bbox([corner, corner + size])

    def _free(self, box: Bbox) -> bool:
        panel = self.axis.get_window_extent()
        inside = panel.x0 < box.x0 and box.x1 < panel.x1 and panel.y0 < box.y0 and box.y1 < panel.y1
        near = box.padded(2 * self.pixels)
        return (
            inside
            and not any(box.overlaps(other) for other in self.taken)
            and not near.count_contains(self.points)
        )

    def _own(self, box: Bbox, place: np.ndarray) -> bool:
        """Whether a word would stand by its own point only."""
        others = self.ends[np.abs(self.ends - place).max(axis=1) > 1]
        return not box.padded(8 * self.pixels).count_contains(others)

    def _put(
        self,
        word: str,
        at: tuple[float, float],
        off: tuple[float, float],
        side: tuple[int, int],
        **style: Any,
    ) -> None:
        across, up = ALIGNED[side[0]][0], ALIGNED[side[1]][1]
        line = {"arrowstyle": "-", "lw": 0.5, "shrinkA": 0, "shrinkB": 3, **style}
        far = max(map(abs, off)) > FAR[0]
        self.axis.annotate(
            word, at, off, textcoords="offset points", ha=across, va=up, fontsize=SIZE, zorder=6,
            arrowprops=line if far else None, path_effects=[withStroke(linewidth=2, foreground="white")], **style,
        )  # fmt: skip


def _along(path: np.ndarray) -> np.ndarray:
    """Points on a path, STEP apart: (n, 2) -> (m, 2), pixels."""
    lengths = np.concatenate([[0], np.linalg.norm(np.diff(path, axis=0), axis=1).cumsum()])
    places = np.append(np.arange(0, lengths[-1], STEP), lengths[-1])
    return np.stack([np.interp(places, lengths, path[:, side]) for side in (0, 1)], axis=1)

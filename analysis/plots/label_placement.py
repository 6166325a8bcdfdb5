"""Place labels beside their points, where they cover no other label, no path and no edge."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke
from matplotlib.transforms import Bbox

FONT_SIZE = 8.0  # points
LETTER_SIZE = (0.66, 1.15)  # times FONT_SIZE: width and height of a letter, with some space
# From the point to the label, in points; nearer ones are tried first.
DISTANCES = (5.0, 14.0, 26.0, 40.0)
# Sides of the point on which a label may be placed, the best first.
SIDES = ((1, 1), (-1, -1), (1, 0), (-1, 0), (0, 1), (0, -1), (1, -1), (-1, 1))
PATH_STEP = 3.0  # pixels between sampled points of a path
ALIGNMENTS = {-1: ("right", "top"), 0: ("center", "center"), 1: ("left", "bottom")}


class LabelPlacer:
    """Places labels in a panel that was drawn once.

    paths: each (n, 2) in data coordinates; labels do not cover them.
    """

    def __init__(self, axis: Axes, paths: Sequence[np.ndarray]):
        self.axis = axis
        self.pixels_per_point = axis.get_figure(root=True).dpi / 72  # type: ignore[union-attr]
        self.vertices = axis.transData.transform(np.concatenate(paths))
        self.path_points = np.concatenate(
            [_sample_path(axis.transData.transform(path)) for path in paths]
        )
        self.taken_boxes: list[Bbox] = []

    def place(self, label: str, point: tuple[float, float], **style: Any) -> bool:
        """Write a label beside a point, with a thin line if it is far; return whether it fits."""
        for distance in DISTANCES:
            for side in SIDES:
                anchor = self.axis.transData.transform(point)
                box = self._make_box(label, anchor, side, distance)
                if self._is_free(box) and self._is_near_own_point(box, anchor):
                    self.taken_boxes.append(box)
                    self._annotate(
                        label, point, (side[0] * distance, side[1] * distance), side, **style
                    )
                    return True
        return False

    def _make_box(
        self, label: str, anchor: np.ndarray, side: tuple[int, int], distance: float
    ) -> Bbox:
        """The box of the label, in pixels."""
        size = (
            self.pixels_per_point
            * FONT_SIZE
            * np.array([LETTER_SIZE[0] * len(label), LETTER_SIZE[1]])
        )
        corner = (
            anchor
            + self.pixels_per_point * distance * np.array(side)
            + size * (np.array(side) - 1) / 2
        )
        return Bbox([corner, corner + size])

    def _is_free(self, box: Bbox) -> bool:
        panel = self.axis.get_window_extent()
        inside = panel.x0 < box.x0 and box.x1 < panel.x1 and panel.y0 < box.y0 and box.y1 < panel.y1
        near = box.padded(2 * self.pixels_per_point)
        return (
            inside
            and not any(box.overlaps(other) for other in self.taken_boxes)
            and not near.count_contains(self.path_points)
        )

    def _is_near_own_point(self, box: Bbox, anchor: np.ndarray) -> bool:
        """Whether no other point is near the label."""
        others = self.vertices[np.abs(self.vertices - anchor).max(axis=1) > 1]
        return not box.padded(8 * self.pixels_per_point).count_contains(others)

    def _annotate(
        self,
        label: str,
        point: tuple[float, float],
        offset: tuple[float, float],
        side: tuple[int, int],
        **style: Any,
    ) -> None:
        across, up = ALIGNMENTS[side[0]][0], ALIGNMENTS[side[1]][1]
        line = {"arrowstyle": "-", "lw": 0.5, "shrinkA": 0, "shrinkB": 3, **style}
        is_far = max(map(abs, offset)) > DISTANCES[0]
        self.axis.annotate(
            label,
            point,
            offset,
            textcoords="offset points",
            ha=across,
            va=up,
            fontsize=FONT_SIZE,
            zorder=6,
            arrowprops=line if is_far else None,
            path_effects=[withStroke(linewidth=2, foreground="white")],
            **style,
        )


def _sample_path(path: np.ndarray) -> np.ndarray:
    """Points on a path, `PATH_STEP` apart: (n, 2) -> (m, 2), pixels."""
    lengths = np.concatenate([[0], np.linalg.norm(np.diff(path, axis=0), axis=1).cumsum()])
    places = np.append(np.arange(0, lengths[-1], PATH_STEP), lengths[-1])
    return np.stack([np.interp(places, lengths, path[:, side]) for side in (0, 1)], axis=1)

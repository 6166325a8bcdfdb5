"""What a section of the report is made of: verdicts, families of verdicts, pictures."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass

from analysis.rendering.table import Table

DECIDED = ("better", "worse", "lower", "higher")

DESCRIBED = ("too few seeds", "single run", "cannot be compared")


@dataclass(frozen=True)
class Verdict:
    """One comparison: which arms, the verdict as a word, the verdict with its reason, and what to
    beware of.
    """

    a: str
    b: str
    word: str
    reason: str
    flags: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """The whole of it: `gmvae against vae: better by 2.3 nats [2.0, 2.6], … – unequal seeds`."""
        beware = f" – {', '.join(self.flags)}" if self.flags else ""
        return f"{self.a} against {self.b}: {self.reason}{beware}"

    @property
    def kind(self) -> str:
        """One of decided, equivalent, described, open: its look on the page."""
        if self.word in DECIDED:
            return "decided"
        return (
            "described"
            if self.word in DESCRIBED
            else "equivalent"
            if self.word == "equivalent"
            else "open"
        )


@dataclass(frozen=True)
class Family:
    """All comparisons of one metric, which are corrected together; `tables` say the same in
    numbers.
    """

    name: str
    title: str
    tally: str
    verdicts: Sequence[Verdict]
    tables: tuple[Table, ...]


BASELINE_HINT = (
    "a baseline in the grid, `compare: {baseline: {COLUMN: VALUE}}`, narrows the family "
    "to one pair an arm"
)


@dataclass(frozen=True)
class Picture:
    """A PNG on the page, what it shows, and its width in CSS pixels; 0 is that of its place."""

    png: bytes
    title: str
    caption: str
    width: int = 0

    @property
    def uri(self) -> str:
        """The picture itself as an address."""
        return f"data:image/png;base64,{base64.b64encode(self.png).decode()}"

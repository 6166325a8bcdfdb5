"""A results folder in a few calls, for notebooks and scripts: `from analysis import Results`."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from analysis import report
from analysis.comparison.comparisons import compare_pairs
from analysis.frames.training_length import shortened_banner
from analysis.rendering.section import Content, Plot, Verdict
from analysis.reproduction import references as published
from analysis.sections import verdicts
from harness.errors import InputError, unknown_name_error
from harness.storage.store import Store


@dataclass(frozen=True)
class Results:
    """What a results folder holds, and what the report says of it.

    Whatever cannot be read or is not there raises `harness.errors.InputError`.

    >>> from pathlib import Path
    >>> import analysis
    >>> results = Results.read(Path(analysis.__file__).parents[1] / "results" / "report")
    >>> results
    Results('report: 35 cells: 35 ok')
    >>> results.compare("gmvae", "vae", "nelbo").word
    'better'
    """

    _report: report.Report

    def __repr__(self) -> str:
        return f"Results('{self._report.title}: {self.summary.partition(' · ')[0]}')"

    @classmethod
    def read(cls, folder: str | Path, references: str | Path | None = None) -> "Results":
        """Read a folder or bucket that `harness/bench.py` wrote: `Results.read("results/report")`.

        references: a YAML file of published figures, laid over those of references.yaml; all of
        them are shown then, otherwise those that an arm can be compared with.
        """
        figures = published.load(Path(references) if references else None)
        store = Store(folder)
        return cls(report.build_report(store, str(folder), figures, references is not None))

    @property
    def rows(self) -> pd.DataFrame:
        """The cells that count, one a row: the columns of `harness.storage.schema`, and `arm`."""
        return self._report.data.rows

    @property
    def trials(self) -> pd.DataFrame:
        """The trials of searches, one a row; `configuration` names what was searched."""
        return self._report.data.frames.trials

    @property
    def failed(self) -> pd.DataFrame:
        """The rows of cells that failed or diverged; `error` says why."""
        return self.rows[self.rows["status"] != "ok"]

    @property
    def comparisons(self) -> pd.DataFrame:
        """The comparisons that the grid declared, one a row.

        The columns are `analysis.comparison.comparisons.COLUMNS`.
        """
        return self._report.data.comparisons

    @property
    def summary(self) -> str:
        """What was run, in one line: cells by status, data, devices, commits."""
        return self._report.subtitle

    @property
    def caveats(self) -> list[str]:
        """What to know before citing a number: damaged files, short training, failed cells, few
        seeds.
        """
        data = self._report.data
        shortened = shortened_banner(data.arm_counts)
        return [*data.frames.damaged, *([shortened] if shortened else []), *data.caveats]

    def table(self) -> pd.DataFrame:
        """The estimates of every arm, one row an arm and metric.

        arm, metric, n, mean, sd, se, low and high (the 95 % t-interval), in the metric's `unit`;
        then the settings of the arm, and how many of its cells finished, failed or diverged.
        """
        (estimates,) = self.section("estimates").tables
        first = ["arm", "metric", "n", "mean", "sd", "se", "low", "high", "unit"]
        others = [name for name in estimates.values if name not in first]
        return estimates.values[[*first, *others]]

    def compare(self, a: str, b: str, metric: str = "nelbo") -> Verdict:
        """Arm `a` against arm `b` in a column of the results table, with the grid's margin.

        The p-value is not corrected for other comparisons that you make: the comparisons that were
        declared beforehand are in `comparisons`, corrected together.
        """
        data = self._report.data
        metrics = data.metrics
        for what, name, known in (
            ("arm", a, list(data.unit_arms.index)),
            ("arm", b, list(data.unit_arms.index)),
            ("metric", metric, list(metrics)),
        ):
            if name not in known:
                raise unknown_name_error(what, name, known)
        spec = data.declaration.spec.model_copy(update={"metrics": [metric]})
        compared = compare_pairs(data.units, data.unit_arms, [(a, b)], spec, data.declaration.plan)
        families = verdicts.build_families(compared, metrics)
        if not families or a == b:
            raise InputError(
                f"{a} and {b} cannot be compared in {metric}; expected two arms and a metric that "
                "one of them is scored in"
            )
        return families[0].verdicts[0]

    def section(self, name: str) -> Content:
        """A section of the report: its sentences, its tables, and what draws its plots."""
        contents = self._report.contents
        if name not in contents:
            raise unknown_name_error("section", name, contents)
        return contents[name]

    def plot(self, name: str) -> Plot:
        """The plot of this name, which is also that of its file in the report: `plot("losses")`.

        `.figure` is the matplotlib figure; notebooks show the plot.
        """
        names = []
        for content in self._report.contents.values():
            for plot in content.draw_plots():
                if plot.name == name:
                    return plot
                names.append(plot.name)
        raise unknown_name_error("plot", name, names)

    def report(self, out: str | Path) -> Path:
        """Write the report: report.html, figures/ and tables/ under `out`; the path of the page."""
        return report.write(self._report, Path(out))

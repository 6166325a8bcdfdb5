"""The plots that results give, and their content."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.collections import PathCollection

from analysis import report
from analysis.comparison.comparisons import compare_arms
from analysis.plots import captions, digit_counts, style
from analysis.rendering.section import Plot
from analysis.report_data import ReportData
from analysis.reproduction import references
from analysis.sections import beta, class_balance, comparisons
from harness.experiment.grid import ComparisonSpec
from harness.storage.store import Store
from tests.unit.analysis.conftest import curve, made, row


def read(store: Store) -> ReportData:
    """The data of the sections of a folder."""
    return report.read_data(store, "results", references.load(), show_all_references=False)


def drawn(store: Store, *sections: str) -> dict[str, Plot]:
    """The plots of these sections, by default of all, by name."""
    data = read(store)
    wanted = [each for each in report.SECTIONS if not sections or each.name in sections]
    return {plot.name: plot for each in wanted for plot in each.build(data).draw_plots()}


def test_every_figure_there_are_values_for(full: Store) -> None:
    found = drawn(full)
    assert [name for name in found if not name.startswith("differences")] == [
        "losses",
        "rate-distortion",
        "samples-over-beta",
        "accuracy",
        "digit-counts",
        "curves-nelbo",
        "curves-accuracy",
    ]
    assert all("n" in item.caption and item.figure.axes for item in found.values())
    assert "n = 3 an arm" in found["losses"].caption
    accuracy = found["curves-accuracy"]
    assert accuracy.title == "Learning curves, Accuracy on the test images"
    assert "watched during training as the source report did" in accuracy.caption
    assert found["curves-nelbo"].title == "Learning curves, NELBO"
    assert "over seeds the 95 % t-interval" in found["digit-counts"].caption
    assert "Wilson" not in found["digit-counts"].caption


@pytest.mark.parametrize(("dataset", "word"), [("mnist", "digit"), ("fashion_mnist", "class")])
def test_the_classes_of_other_data_are_not_called_digits(
    dataset: str, word: str, tmp_path: Path
) -> None:
    store = Store(tmp_path)
    for model in ("vae", "gmvae"):
        for seed in range(5):
            cell = made(model, seed, dataset=dataset)
            store.write_row(row(cell, digit_counts=[400 + 10 * seed] * 20 + [2000] * 5))
    built = report.build_report(store, "results", references.load())
    content = built.contents["balance"]
    plots = {plot.name: plot for plot in content.draw_plots()}
    plural = {"digit": "digits", "class": "classes"}[word]
    assert content.heading == f"Balance of the sampled {plural}"
    page = report.build_page(built, dict.fromkeys(built.contents, ()))
    assert content.heading in [section.title for section in page.sections]
    plot = plots["digit-counts"]
    assert plot.title == f"{word.capitalize()} counts"
    assert plot.caption.startswith(f"{plural.capitalize()} that the judge sees in")
    assert plot.figure.get_supxlabel() == word
    titles = [table.title for table in content.tables]
    assert titles
    assert all(title.startswith(f"{plural.capitalize()}: ") for title in titles)
    said = " ".join([*content.paragraphs, plot.caption, plot.title, *titles]).lower()
    assert ("digit" in said) == (word == "digit")
    # twenty-five classes have fewer numbers than bars
    assert len(plot.figure.axes[0].get_xticks()) == 9


def test_nothing_finished_gives_no_figure(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write_row(row(made("vae"), "failed"))
    assert drawn(store) == {}


def test_of_many_seeds_the_first_are_points_and_all_are_in_the_mean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (captions, digit_counts, class_balance):
        monkeypatch.setattr(module, "MAX_POINTS", 2)
    store = Store(tmp_path)
    for seed in range(4):
        store.write_row(row(made("vae", seed), rec=81.0 + seed, nelbo=100.0 + seed))
    found = drawn(store, "results", "balance")
    losses = found["losses"]
    assert losses.caption.endswith("Points are the first 2 seeds of an arm.")
    points, *_ = losses.figure.axes[0].collections
    assert np.asarray(points.get_offsets())[:, 0].tolist() == [100.0, 101.0]
    means = [np.asarray(line.get_xdata())[0] for line in losses.figure.axes[0].lines]
    assert 101.5 in means
    lines = found["digit-counts"].figure.axes[0].lines
    assert max(np.asarray(line.get_xdata()).size for line in lines) == 2 * 10
    assert "first 2 single seeds" in found["digit-counts"].caption


def test_one_seed_is_drawn_without_an_interval(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write_row(row(made("vae")))
    found = drawn(store, "results", "balance")
    assert found["losses"].caption.endswith("Each point is a seed, n = 1 an arm: no interval.")
    assert "95 % Wilson interval within that run" in found["digit-counts"].caption
    assert "over seeds the 95 %" not in found["digit-counts"].caption
    found["losses"].figure.draw_without_rendering()


def test_without_a_second_beta_there_is_no_rate_distortion(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for cell in (made("vae"), made("gmvae"), made("gmvae", beta=4.0, iterations=1000)):
        store.write_row(row(cell))
    assert "rate-distortion" not in drawn(store, "beta")


def test_comparisons_are_drawn_and_told_a_metric_a_figure(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for seed in range(6):
        for cell, off in ((made("vae", seed), 0.0), (made("gmvae", seed), -2.0)):
            nelbo = 100 + off + 0.1 * (seed * (cell.model == "vae"))
            store.write_row(row(cell, nelbo=nelbo, kl=20.0, rec=nelbo - 20))
    spec = ComparisonSpec(metrics=["nelbo", "rec"], margin={"nelbo": 0.5})
    shown = list(comparisons.draw(compare_arms(read(store).rows, spec)))
    assert [item.name for item in shown] == ["differences-nelbo", "differences-rec"]
    assert (
        "95 % t-interval, unadjusted, the thin bar adjusted for 1 comparison (Holm"
        in shown[0].caption
    )
    assert "margin of equivalence, ± 0.5 nats" in shown[0].caption
    assert "margin" not in shown[1].caption
    for item in shown:
        style.save(item.figure, tmp_path, item.name)


def test_too_few_seeds_are_not_said_to_be_adjusted(full: Store) -> None:
    shown = list(comparisons.draw(read(full).comparisons))
    assert shown
    assert not any("adjusted for" in item.caption or "Holm" in item.caption for item in shown)
    for item in shown:
        item.figure.draw_without_rendering()


def test_no_comparisons_are_no_figure(full: Store) -> None:
    assert list(comparisons.draw(read(full).comparisons.head(0))) == []


def test_sheets_of_several_betas_stand_side_by_side(full: Store) -> None:
    shown = list(beta.draw_sheets(read(full)))
    assert [item.name for item in shown] == ["samples-over-beta"]
    assert [axis.get_title(loc="left") for axis in shown[0].figure.axes] == ["β = 1", "β = 4"]


def test_the_end_of_training_is_shown_of_every_arm(full: Store) -> None:
    whole, end = drawn(full, "curves")["curves-nelbo"].figure.axes
    assert len(end.lines) == len(whole.lines) == 4
    assert all(min(np.asarray(line.get_xdata(), float)) > 100 for line in end.lines)


def test_a_line_joins_the_arms_of_a_seed(full: Store) -> None:
    axis = drawn(full, "accuracy")["accuracy"].figure.axes[0]
    pairs = [
        line
        for line in axis.lines
        if len(np.asarray(line.get_xdata())) == 2 and line.get_alpha() == 0.6
    ]
    assert len(pairs) == 3
    low, high = np.asarray(pairs[0].get_ydata(), float)
    assert (low, high) == pytest.approx((75, 93))
    points = [c for c in axis.collections if isinstance(c, PathCollection)]
    assert sum(len(np.asarray(c.get_offsets())) for c in points) == 6


def test_label_budgets_get_a_figure_of_their_own(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for budget in (50, 1000):
        for kind in ("supervised", "semi-supervised"):
            for seed in (0, 1):
                store.write_row(row(made("ssvae", seed, supervision=kind, labels=budget)))
    found = drawn(store, "accuracy")
    assert [axis.get_title(loc="left") for axis in found["accuracy"].figure.axes] == [
        "mnist, 50 labels",
        "mnist, 1,000 labels",
    ]
    assert len(found["accuracy-over-labels"].figure.legends[0].get_texts()) == 2
    axis = found["gain-over-labels"].figure.axes[0]
    assert np.asarray(axis.lines[0].get_ydata(), float) == pytest.approx([18, 18])


def test_a_shortened_arm_is_told_under_every_figure_of_scores(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for seed in (0, 1):
        for cell in (
            made("vae", seed, iterations=600),
            made("vae", seed, beta=4.0, iterations=600),
        ):
            store.write_row(row(cell))
    shown = drawn(store, "results", "beta", "comparisons")
    for name in ("losses", "rate-distortion"):
        assert shown[name].caption.endswith(". SHORTENED: 600 of 20,000 steps (vae).")
    assert shown["differences-nelbo"].caption.endswith("Shortened arms are among them.")


def test_a_hostile_name_is_no_formula(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for loss in ("$\\frac$", "a_b"):
        cell = made("vae", settings=(("loss", loss),))
        store.write_row(row(cell))
        store.write_curve(cell.id, curve(cell))
    for item in drawn(store).values():
        style.save(item.figure, tmp_path, item.name)


def test_many_arms_look_different(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for value in range(1, 13):
        cell = made("vae", beta=float(value))
        store.write_row(row(cell))
        store.write_curve(cell.id, curve(cell))
    lines = drawn(store, "curves")["curves-nelbo"].figure.axes[0].lines
    assert len({(str(line.get_color()), line.get_linestyle()) for line in lines}) == 12


def test_the_same_figure_gives_the_same_bytes(full: Store, tmp_path: Path) -> None:
    for name in ("one", "two"):
        style.save(drawn(full, "results")["losses"].figure, tmp_path, name)
    for suffix in ("png", "pdf"):
        assert (tmp_path / f"one.{suffix}").read_bytes() == (
            tmp_path / f"two.{suffix}"
        ).read_bytes()


def test_many_arms_are_capped_in_every_figure_and_that_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twelve arms and 66 pairs exceed the limits of three arms and one page."""
    monkeypatch.setattr(captions, "MAX_ARMS", 3)
    monkeypatch.setattr(comparisons, "MAX_PAGES", 1)
    monkeypatch.setattr("analysis.plots.forest.MAX_PAGE_LINES", 20)
    store = Store(tmp_path)
    for number in range(12):
        for seed in range(2):
            cell = made("vae", seed, settings=(("z", number + 1),))
            store.write_row(row(cell))
            store.write_curve(cell.id, curve(cell))
    drawings = drawn(store)
    assert [name for name in drawings if name.startswith("differences")] == ["differences-nelbo"]
    assert (
        "49 more comparisons are not drawn: they are in comparisons-nelbo.csv; a baseline in the "
        "grid" in (drawings["differences-nelbo"].caption)
    )
    for name in ("losses", "curves-nelbo", "digit-counts"):
        assert drawings[name].caption.endswith(
            "The first 3 of 12 arms; the tables have all of them."
        )
    assert len(drawings["digit-counts"].figure.axes) == 3

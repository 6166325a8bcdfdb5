"""The grid: cells in canonical form whose ids never change, and bad input in one line."""

import pickle
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.stats.thresholds import MIN_SEEDS
from harness.data.loading import DatasetLoader
from harness.errors import InputError, unknown_name_error
from harness.experiment import grid, grid_file
from harness.experiment.cell import Cell, ModelCard
from harness.experiment.grid import DATASETS, Grid, ListedDraw
from harness.plugins import registry

CARDS = {
    "plain": ModelCard(
        "plain", "", 20_000, defaults={"z": 10, "rate": 0.5, "name": "elu", "deep": True}
    ),
    "bare": ModelCard("bare", "", 500),
    "half": ModelCard(
        "half", "", 30_000, ("semi-supervised", "supervised"), {"z": 64, "weight": 100.0}
    ),
}
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "z": st.integers(1, 64),
    "rate": st.floats(0, 10) | st.integers(0, 10),
    "weight": st.floats(0, 10) | st.integers(0, 10),
    "name": st.sampled_from(["elu", "relu", "true", "1"]),
    "deep": st.booleans(),
}
POSITIVE = st.floats(0.001, 100) | st.integers(1, 100)
AXES: dict[str, st.SearchStrategy[Any]] = {
    "beta": POSITIVE,
    "learning_rate": POSITIVE,
    "dataset": st.sampled_from(DATASETS),
    "labels": st.integers(1, 5000),
    "iterations": st.integers(1, 30_000),
    "batch_size": st.integers(1, 500),
}


def few(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(values, min_size=1, max_size=2)


@st.composite
def sweeps(draw: st.DrawFn) -> dict[str, Any]:
    card = CARDS[draw(st.sampled_from(sorted(CARDS)))]
    optional = {name: few(values) for name, values in AXES.items()}
    optional["supervision"] = few(st.sampled_from(card.supervisions))
    optional["settings"] = st.fixed_dictionaries(
        {}, optional={name: few(VALUES[name]) for name in card.defaults}
    )
    return draw(st.fixed_dictionaries({"model": st.just(card.name)}, optional=optional))


GRIDS = st.fixed_dictionaries(
    {
        "name": st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,9}", fullmatch=True),
        "seeds": st.integers(1, 3) | st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=3),
        "label_draw": st.sampled_from(["seed", "draw-0", "draw-12"]),
        "sweeps": st.lists(sweeps(), min_size=1, max_size=3),
    }
)
some = settings(max_examples=50, deadline=None)


def cells(keys: dict[str, Any]) -> list[Cell]:
    return grid_file.validate(keys).cells(CARDS)


def one_sweep(**values: Any) -> dict[str, Any]:
    return {"name": "g", "seeds": 1, "sweeps": [{"model": "plain"} | values]}


# --- cells ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        (Cell("vae", 0, 10), "68b58fd912fd6a33"),
        (
            Cell(
                "ssvae",
                3,
                30_000,
                (("class_weight", 100.0), ("z", 64)),
                2.5,
                "kmnist",
                "semi-supervised",
                100,
                "draw-7",
                50,
                3e-4,
            ),
            "3b153be0582dd121",
        ),
    ],
)
def test_ids_are_those_of_all_earlier_results(cell: Cell, expected: str) -> None:
    """If this fails, finished cells are no longer found.

    Restore the ids instead of changing this test.
    """
    assert cell.id == expected


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("report", "c7fac21c45ff790c", "20d503b674da6932"),
        ("beta", "85ac44d886a2a61c", "d081ddbb9d88874b"),
        ("labels", "bc5788879537b5ad", "072275771bcd88db"),
    ],
)
def test_shipped_grids_keep_their_ids(name: str, first: str, last: str) -> None:
    found = grid_file.validate(grid_file.read(name)).cells(registry.cards())
    assert (found[0].id, found[-1].id) == (first, last)


@some
@given(GRIDS)
def test_cells_are_distinct_and_so_are_their_ids(keys: dict[str, Any]) -> None:
    found = cells(keys)
    assert len(found) == len(set(found)) == len({cell.id for cell in found})
    assert found == cells(keys)


@some
@given(GRIDS)
def test_cells_are_canonical(keys: dict[str, Any]) -> None:
    for cell in cells(keys):
        defaults = CARDS[cell.model].defaults
        assert cell.has_bound or cell.beta == 1
        assert (cell.labels == 0) == (cell.label_draw == "none") == (cell.supervision == "none")
        assert [name for name, _ in cell.settings] == sorted(defaults)
        assert all(type(value) is type(defaults[name]) for name, value in cell.settings)
        assert type(cell.beta) is type(cell.learning_rate) is float


@some
@given(GRIDS, st.data())
def test_a_larger_grid_has_the_cells_of_the_smaller_one(
    keys: dict[str, Any], data: st.DataObject
) -> None:
    seeds = keys["seeds"]
    larger = keys | {"seeds": seeds + 1 if isinstance(seeds, int) else [*seeds, 5]}
    larger["sweeps"] = [
        sweep | {name: [data.draw(AXES[name]), *sweep[name]] for name in AXES if name in sweep}
        for sweep in keys["sweeps"]
    ] + [data.draw(sweeps())]
    assert set(cells(keys)) <= set(cells(larger))


@some
@given(GRIDS)
def test_a_grid_survives_yaml(keys: dict[str, Any]) -> None:
    whole = grid_file.validate(keys)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "other.yaml"
        file.write_text(yaml.safe_dump(whole.model_dump()))
        back = grid_file.validate(grid_file.read(str(file)))
    assert back == whole
    assert back.cells(CARDS) == whole.cells(CARDS)


def test_how_a_value_is_written_does_not_matter() -> None:
    plain = cells(one_sweep(beta=4, settings={"z": 10, "rate": 1}))
    assert plain == cells(
        one_sweep(settings={"rate": [1.0]}, beta=[4.0], dataset="mnist", iterations=20_000)
    )


def test_a_supervised_cell_is_not_crossed_with_beta() -> None:
    """Two β give two semi-supervised cells and one supervised cell."""
    keys = one_sweep(model="half", beta=[1, 4], supervision=["semi-supervised", "supervised"])
    assert Counter(cell.supervision for cell in cells(keys)) == {
        "semi-supervised": 2,
        "supervised": 1,
    }


def test_a_model_without_labels_is_not_crossed_with_budgets() -> None:
    (cell,) = cells(one_sweep(labels=[50, 100]))
    assert (cell.labels, cell.label_draw) == (0, "none")


def test_a_file_of_labels_fixes_budget_and_draw() -> None:
    """The list determines both: the two budgets of the grid become one.

    Another list gives another cell.
    """
    keys = one_sweep(model="half", labels=[50, 200]) | {"label_draw": "subset"}
    chosen = grid_file.validate(keys)
    (cell,) = chosen.cells(CARDS, ListedDraw(99, "abc"))
    assert (cell.labels, cell.label_draw) == (99, "file-abc")
    assert chosen.cells(CARDS, ListedDraw(99, "abd")) != [cell]


def test_seeds_are_a_number_or_a_list() -> None:
    def seeds(value: Any) -> list[int]:
        return [cell.seed for cell in cells(one_sweep() | {"seeds": value})]

    assert seeds(3) == [0, 1, 2]
    assert seeds([7, 2, 7]) == [7, 2]


def test_names_tell_apart_what_a_sweep_varies() -> None:
    found = cells(
        one_sweep(beta=[1, 0.5], settings={"z": [2, 4]}, dataset=["mnist", "kmnist"]) | {"seeds": 2}
    )
    names = grid.name_cells(found)
    assert len(set(names.values())) == len(found) == 16
    assert names[found[0]] == "plain z=2 seed=0"
    assert names[found[-1]] == "plain z=4 β=0.5 kmnist seed=1"
    assert str(cells(one_sweep(model="half"))[0]) == "half semi-supervised labels=100 seed=0"


# --- shipped grids --------------------------------------------------------------------------------


def arms(name: str) -> Counter[tuple[Any, ...]]:
    """The number of seeds of each arm of a shipped grid."""
    found = grid_file.validate(grid_file.read(name)).cells(registry.cards())
    return Counter((c.model, c.supervision, c.beta, c.labels, c.iterations) for c in found)


def test_suite_is_nine_models_under_one_protocol() -> None:
    grid = grid_file.validate(grid_file.read("suite"))
    found = grid.cells(registry.cards())
    models = ["vae", "iwae", "gmvae", "vampprior", "betatcvae", "mmdvae", "iaf", "hvae", "made"]
    assert Counter(cell.model for cell in found) == dict.fromkeys(models, 10)
    assert {(c.iterations, c.validation, c.beta, c.dataset) for c in found} == {
        (20_000, 10_000, 1, "mnist")
    }
    assert dict(found[10].settings)["k"] == 5
    assert {(c.model, c.recipe) for c in found if c.recipe} == {("hvae", (("clip", 100.0),))}
    assert (grid.iwae, grid.compare.correction) == ([1000], "holm")


def test_semi_is_four_arms_at_a_hundred_labels() -> None:
    assert arms("semi") == {
        ("ssvae", "supervised", 1, 100, 30_000): 10,
        ("ssvae", "semi-supervised", 1, 100, 30_000): 10,
        ("m2", "semi-supervised", 1, 100, 30_000): 10,
        ("m1m2", "semi-supervised", 1, 100, 30_000): 10,
    }


def test_report_is_the_protocol_at_full_length() -> None:
    assert arms("report") == {
        ("vae", "none", 1, 0, 20_000): 10,
        ("gmvae", "none", 1, 0, 20_000): 10,
        ("ssvae", "supervised", 1, 100, 30_000): 10,
        ("ssvae", "semi-supervised", 1, 100, 30_000): 10,
    }


def test_beta_sweeps_both_models() -> None:
    betas = (0.5, 1, 2, 4, 8)
    assert arms("beta") == {
        (model, "none", beta, 0, 20_000): 10 for model in ("vae", "gmvae") for beta in betas
    }


def test_labels_sweeps_both_arms() -> None:
    ways, budgets = ("supervised", "semi-supervised"), (50, 100, 300, 1000, 3000)
    assert arms("labels") == {
        ("ssvae", way, 1, budget, 30_000): 10 for way in ways for budget in budgets
    }


def test_quick_is_small_and_has_enough_seeds() -> None:
    found = arms("quick")
    assert set(found.values()) == {MIN_SEEDS}
    assert {model for model, *_ in found} == {"vae", "gmvae", "ssvae"}
    assert max(iterations for *_, iterations in found) <= 600


def test_digits_is_a_short_grid_of_every_model_on_pinned_data() -> None:
    chosen = grid_file.validate(grid_file.read("digits"))
    found = chosen.cells(registry.cards(), data_versions={"digits": ""})
    assert {(c.dataset, c.iterations) for c in found} == {("digits", 200)}
    assert {c.model for c in found} == registry.cards().keys() - {"pythae"}
    arms = Counter((c.model, c.supervision, c.beta) for c in found)
    assert set(arms.values()) == {5}
    assert {c.data_version for c in found} == {DatasetLoader().version("digits")}


@pytest.mark.parametrize("name", grid_file.list_shipped())
def test_shipped_grids_follow_the_protocol_otherwise(name: str) -> None:
    chosen = grid_file.validate(grid_file.read(name))
    found = chosen.cells(registry.cards(), data_versions=dict.fromkeys(chosen.datasets, ""))
    assert (chosen.name, bool(chosen.title)) == (name, True)
    dataset = "digits" if name == "digits" else "mnist"
    assert {(c.batch_size, c.learning_rate, c.dataset) for c in found} == {(97, 1e-3, dataset)}
    assert {c.label_draw for c in found} <= {"none", "seed"}


# --- flags laid over a grid -----------------------------------------------------------------------

TWO = {
    "name": "two",
    "seeds": 2,
    "sweeps": [{"model": "plain", "beta": [1, 2]}, {"model": "bare", "iterations": 5}],
}


def test_flags_replace_the_keys_of_every_sweep() -> None:
    found = grid_file.apply_flags(TWO, {"beta": [4.0], "iterations": 7, "seeds": 1}).cells(CARDS)
    assert [(c.model, c.beta, c.iterations, c.seed) for c in found] == [
        ("plain", 4, 7, 0),
        ("bare", 4, 7, 0),
    ]


def test_flags_of_a_recipe_are_laid_over_its_keys() -> None:
    keys = {"name": "g", "seeds": 1, "sweeps": [{"model": "plain", "recipe": {"clip": 1}}]}
    flags = {"recipe": {"ema": [0.9], "optimizer": ["sgd", "adamw"]}, "validation": 9}
    found = grid_file.apply_flags(keys, flags).cells(CARDS)
    assert [dict(c.recipe) for c in found] == [
        {"clip": 1.0, "ema": 0.9, "optimizer": name} for name in ("sgd", "adamw")
    ]
    assert {c.validation for c in found} == {9}


def test_the_best_weights_need_validation_images() -> None:
    keys = one_sweep(recipe={"keep": ["last", "best"]})
    assert "keep: best chooses on validation images" in refusal(keys)
    both = one_sweep(recipe={"keep": "best"}, validation=[0, 500])
    assert "expected validation above 0" in refusal(both)
    assert cells(one_sweep(recipe={"keep": "best"}, validation=500))


def test_no_flags_change_nothing() -> None:
    assert grid_file.apply_flags(TWO, {}) == grid_file.validate(TWO)


def test_what_a_grid_does_not_say_stays_unsaid() -> None:
    """The provenance distinguishes a declared comparison from the default."""
    named = grid_file.apply_flags(
        TWO | {"compare": {"metrics": ["nelbo", "accuracy"]}}, {"seeds": 3}
    )
    assert named.compare.model_fields_set == {"metrics"}
    assert grid_file.apply_flags(TWO, {"seeds": 3}).compare.model_fields_set == set()


def test_models_are_kept_or_added() -> None:
    found = grid_file.apply_flags(TWO, {}, ["half", "plain", "half"])
    assert [sweep.model for sweep in found.sweeps] == ["plain", "half"]
    assert found.sweeps[0].beta == [1, 2]


def test_flags_are_checked_like_keys() -> None:
    with pytest.raises(InputError, match="labels"):
        grid_file.apply_flags(TWO, {"labels": [0]})


# --- bad input ------------------------------------------------------------------------------------


def refusal(keys: dict[str, Any]) -> str:
    with pytest.raises(InputError) as caught:
        cells(keys)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (
            one_sweep(model="plane"),
            "no model 'plane'; did you mean 'plain'? known: bare, half, plain",
        ),
        (
            one_sweep(dataset="mnits"),
            "no dataset 'mnits'; did you mean 'mnist'? known: emnist, fashion_mnist",
        ),
        (one_sweep(btea=1), "no grid key 'btea'; did you mean 'beta'? known: batch_size"),
        (one_sweep() | {"seed": 1}, "no grid key 'seed'; did you mean 'seeds'? known: compare"),
        (
            {"name": "g", "sedes": 1, "sweeps": [{"model": "plain"}]},
            "no grid key 'sedes'; did you mean 'seeds'?",
        ),
        (
            one_sweep() | {"compare": {"margins": {}}},
            "no grid key 'margins'; did you mean 'margin'? known: baseline",
        ),
        (
            one_sweep(settings={"rat": 1}),
            "no setting of model 'plain' 'rat'; did you mean 'rate'? known: deep",
        ),
    ],
    ids=["model", "dataset", "sweep key", "grid key", "required key", "compare key", "setting"],
)
def test_an_unknown_name_is_told_with_the_nearest_and_the_list(
    keys: dict[str, Any], expected: str
) -> None:
    assert refusal(keys).startswith(expected)


def test_a_name_like_no_other_is_told_with_the_list_alone() -> None:
    assert (
        str(unknown_name_error("model", "zzz", ["vae", "gmvae"]))
        == "no model 'zzz'; known: gmvae, vae"
    )
    assert str(unknown_name_error("model", "vae", [])) == "no model 'vae'; known: none"


@pytest.mark.parametrize(
    ("values", "named", "expected"),
    [
        ({"model": None}, "'sweeps.0.model'", "string, got None"),
        ({"dataset": 3}, "'sweeps.0.dataset.0'", "string, got 3"),
        ({"beta": [1, -2]}, "'sweeps.0.beta.1'", "greater than or equal to 0, got -2"),
        ({"beta": "abc"}, "'sweeps.0.beta.0'", "number, got 'abc'"),
        ({"beta": True}, "'sweeps.0.beta.0'", "number, got True"),
        ({"beta": float("nan")}, "'sweeps.0.beta.0'", "finite number, got nan"),
        ({"beta": float("inf")}, "'sweeps.0.beta.0'", "finite number, got inf"),
        ({"beta": []}, "'sweeps.0.beta'", "at least 1 item"),
        ({"learning_rate": 0}, "'sweeps.0.learning_rate.0'", "greater than 0, got 0"),
        ({"learning_rate": "1e-3"}, "'sweeps.0.learning_rate.0'", "number, got '1e-3'"),
        ({"labels": 0}, "'sweeps.0.labels.0'", "greater than 0, got 0"),
        ({"labels": [100, -1]}, "'sweeps.0.labels.1'", "greater than 0, got -1"),
        ({"iterations": 0}, "'sweeps.0.iterations.0'", "greater than 0, got 0"),
        ({"iterations": 1.5}, "'sweeps.0.iterations.0'", "integer, got 1.5"),
        ({"batch_size": 0}, "'sweeps.0.batch_size.0'", "greater than 0, got 0"),
        ({"supervision": "semi"}, "'sweeps.0.supervision.0'", "'semi-supervised', got 'semi'"),
        (
            {"supervision": "supervised"},
            "'plain' has no supervision 'supervised'",
            "expected one of: none",
        ),
        (
            {"model": "half", "supervision": "none"},
            "supervision 'none'",
            "semi-supervised, supervised",
        ),
        ({"settings": {"z": "ten"}}, "setting 'z' of model 'plain'", "expected int, got 'ten'"),
        ({"settings": {"z": 1.5}}, "setting 'z' of model 'plain'", "expected int, got 1.5"),
        ({"settings": {"z": True}}, "setting 'z' of model 'plain'", "expected int, got True"),
        ({"settings": {"deep": 1}}, "setting 'deep' of model 'plain'", "expected bool, got 1"),
        ({"settings": {"name": 1}}, "setting 'name' of model 'plain'", "expected str, got 1"),
        (
            {"settings": {"rate": float("nan")}},
            "setting 'rate' of model 'plain'",
            "finite number, got nan",
        ),
        (
            {"settings": {"z": None}},
            "'sweeps.0.settings.z.0'",
            "expected a number, a word or a truth value, got None",
        ),
        ({"settings": {"z": []}}, "'sweeps.0.settings.z'", "at least 1 item"),
        ({"settings": 3}, "'sweeps.0.settings'", "dictionary, got 3"),
    ],
)
def test_a_bad_sweep_is_refused_in_one_line(
    values: dict[str, Any], named: str, expected: str
) -> None:
    found = refusal(one_sweep(**values))
    assert named in found
    assert expected in found


@pytest.mark.parametrize(
    ("values", "named", "expected"),
    [
        ({"seeds": 0}, "'seeds'", "at least 1, got 0"),
        ({"seeds": -3}, "'seeds'", "at least 1, got -3"),
        ({"seeds": [0, -1]}, "'seeds.1'", "greater than or equal to 0, got -1"),
        ({"seeds": [2**63]}, "'seeds.0'", "less than"),
        ({"seeds": []}, "'seeds'", "at least 1 item"),
        ({"seeds": True}, "'seeds'", "list, got True"),
        ({"seeds": 1.5}, "'seeds'", "list, got 1.5"),
        ({"sweeps": []}, "'sweeps'", "at least 1 item"),
        ({"sweeps": {"model": "plain"}}, "'sweeps'", "list, got {"),
        ({"sweeps": ["plain"]}, "'sweeps.0'", "dictionary"),
        ({"sweeps": [{}]}, "'sweeps.0.model'", "required"),
        ({"name": "a/b"}, "'name'", "pattern"),
        ({"name": "../b"}, "'name'", "pattern"),
        ({"name": ""}, "'name'", "pattern"),
        ({"name": "x" * 65}, "'name'", "pattern"),
        ({"label_draw": "draw-x"}, "'label_draw'", "pattern"),
        ({"label_draw": "subset"}, "label_draw 'subset'", "--subset FILE"),
        ({"iwae": [0]}, "'iwae.0'", "greater than 0, got 0"),
        ({"iwae_on": ["train"]}, "'iwae_on.0'", "'test' or 'subset', got 'train'"),
        ({"compare": {"metrics": []}}, "'compare.metrics'", "at least 1 item"),
        (
            {"compare": {"metrics": ["nelb"]}},
            "'compare.metrics'",
            "no metric 'nelb'; did you mean 'nelbo'?",
        ),
        (
            {"compare": {"margin": {"accuracy": 0.5}}},
            "margin 0.5 of accuracy",
            "0.005 is 0.5 points",
        ),
        ({"compare": {"margin": {"nelbo": 0}}}, "'compare.margin.nelbo'", "greater than 0, got 0"),
        ({"compare": {"correction": "none"}}, "'compare.correction'", "'holm' or 'bh', got 'none'"),
        (
            {"seeds": {"looks": [5, 10]}, "compare": {"correction": "bh"}},
            "compare.correction",
            "expected holm, got bh",
        ),
        ({3: 4}, "'3'", "strings"),
    ],
)
def test_a_bad_grid_is_refused_in_one_line(
    values: dict[Any, Any], named: str, expected: str
) -> None:
    found = refusal(one_sweep() | values)
    assert named in found
    assert expected in found


def test_a_comparison_may_name_metrics_that_are_registered() -> None:
    compare = {"metrics": ["nelbo", "sharpness", "iwae_7"], "margin": {"sharpness": 0.1}}
    keys = one_sweep() | {"compare": compare}
    found = grid_file.apply_flags(keys, {"seeds": 2}, metrics=["sharpness"])
    assert found.compare.metrics == ["nelbo", "sharpness", "iwae_7"]
    with pytest.raises(InputError, match=r"^grid key 'compare.metrics': no metric 'sharpness'"):
        grid_file.validate(keys)
    with pytest.raises(InputError, match="no metric 'sharpness'; did you mean 'sharpnes'"):
        grid_file.validate(keys, ["sharpnes"])


@pytest.mark.parametrize("missing", ["seeds", "sweeps"])
def test_a_missing_key_is_named(missing: str) -> None:
    keys = one_sweep()
    del keys[missing]
    assert refusal(keys) == f"grid key '{missing}': field required"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "expected a mapping with the keys name, title, seeds"),
        (b"- seeds", "expected a mapping with the keys name, title, seeds"),
        (b"[1, 2", "is not YAML: "),
        (b"seeds: 1: 2", "is not YAML: "),
        (b"\xff\xfe\xff", "is not YAML: "),
        (b"seeds: !!python/object/apply:os.getcwd []", "is not YAML: "),
    ],
)
def test_a_file_that_is_no_grid_is_refused_in_one_line(
    tmp_path: Path, content: bytes, expected: str
) -> None:
    file = tmp_path / "mine.yaml"
    file.write_bytes(content)
    with pytest.raises(InputError) as caught:
        grid_file.read(str(file))
    assert str(file) in str(caught.value)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_grid_that_is_not_there_is_told_from_a_misspelt_one(tmp_path: Path) -> None:
    with pytest.raises(
        InputError,
        match=r"^no grid 'reprot'; did you mean 'report'\? known: beta, digits, labels, quick, rep",
    ):
        grid_file.read("reprot")
    for name in (str(tmp_path / "mine.yaml"), str(tmp_path)):
        with pytest.raises(
            InputError, match=r"^no grid file '.*'; expected a YAML file or a shipped grid: beta"
        ):
            grid_file.read(name)


@pytest.mark.parametrize(
    ("written", "meant"), [("1e-3", 1e-3), ("2E2", 200.0), ("1.e-3", 1e-3), ("+5e0", 5.0)]
)
def test_numbers_are_written_as_anybody_writes_them(
    tmp_path: Path, written: str, meant: float
) -> None:
    """PyYAML alone reads 1e-3 as a string."""
    path = tmp_path / "mine.yaml"
    path.write_text(f"seeds: 1\nsweeps: [{{model: vae, learning_rate: [{written}]}}]\n")
    assert grid_file.validate(grid_file.read(str(path))).sweeps[0].learning_rate == [meant]


def test_a_file_is_named_by_its_stem_unless_it_says_another(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("seeds: 1\nsweeps: [{model: plain}]")
    assert grid_file.validate(grid_file.read(str(file))).name == "mine"
    file.write_text("name: other\nseeds: 1\nsweeps: [{model: plain}]")
    assert grid_file.validate(grid_file.read(str(file))).name == "other"


def test_an_id_is_made_once_and_travels_with_its_cell() -> None:
    cell = Cell("vae", seed=0, iterations=10)
    assert cell.id is cell.id
    assert pickle.loads(pickle.dumps(cell)) == cell == Cell("vae", seed=0, iterations=10)
    assert replace(cell, seed=1).id == Cell("vae", seed=1, iterations=10).id


def test_a_grid_and_a_cell_are_frozen() -> None:
    (cell,), whole = cells(one_sweep()), grid_file.validate(one_sweep())
    with pytest.raises(AttributeError):
        cell.seed = 3  # type: ignore[misc]
    with pytest.raises(ValueError, match="frozen"):
        whole.name = "x"
    assert isinstance(whole, Grid)


# --- hostile YAML ---------------------------------------------------------------------------------

LISTS = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]\n" for n in range(1, 10))
MERGED = "".join(f"m{n}: &m{n}\n  <<: [{', '.join([f'*m{n - 1}'] * 9)}]\n" for n in range(1, 10))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"l0: &l0 [x, x]\n{LISTS}", "more than 100,000 values, those of aliases included"),
        (f"m0: &m0 {{x: 1, y: 2}}\n{MERGED}", "merged mappings of more than 100,000 keys"),
        ("seeds: &a [*a]", "more than 100,000 values"),
        ("[" * 3000, "nested too deeply"),
        ("seeds: " + "9" * 5000, "digits"),
        ("seeds: 2026-13-45", "month"),
        ("x" * 1_000_001, "1,000,001 bytes; expected at most 1,000,000"),
    ],
    ids=["aliases", "merges", "itself", "nesting", "digits", "date", "size"],
)
def test_a_hostile_file_is_refused_in_one_short_line(
    tmp_path: Path, text: str, expected: str
) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(InputError) as caught:
        grid_file.read(str(file))
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400 + len(str(file))


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (one_sweep() | {"seeds": 10**30}, "at most 1,000,000 seeds, got 1000000000000"),
        (one_sweep() | {"seeds": 10**5000}, "at most 1,000,000 seeds"),
        (one_sweep(labels=10**30), "less than 9223372036854775808, got 1000"),
        (one_sweep(iterations=10**30), "less than 9223372036854775808"),
        (one_sweep(settings={"z": 10**30}), "expected 64 bits at most, got 1000"),
        (
            one_sweep(iterations=list(range(1, 2001)), batch_size=list(range(1, 2001))),
            "cells; expected at most 1,000,",
        ),
        (one_sweep() | {"sweeps": {"x" * 10**6: 1}}, "got {'xxx"),
        (one_sweep() | {"x" * 10**6: 1}, "no grid key 'xxx"),
        (one_sweep(beta=["x" * 10**6]), "number, got 'xxx"),
    ],
)
def test_what_is_huge_is_refused_in_one_short_line(keys: dict[str, Any], expected: str) -> None:
    found = refusal(keys)
    assert expected in found
    assert len(found) < 400

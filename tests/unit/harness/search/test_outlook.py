from harness.experiment.cell import ModelCard
from harness.experiment.grid_file import validate
from harness.search.design import Design

CARDS = {name: ModelCard(name, "", 100, defaults={"z": 10}) for name in ("vae", "gmvae")}


def make_design(**keys: object) -> Design:
    return Design(validate({"name": "g", **keys}), CARDS)


def test_a_plain_grid_has_none() -> None:
    assert make_design(seeds=3, sweeps=[{"model": "vae"}]).describe_outlook({}) == ""


def test_looks_name_the_arms_that_go_on_and_what_they_may_cost() -> None:
    sweeps = [{"model": "vae", "beta": [1, 4]}, {"model": "gmvae"}]
    design = make_design(seeds={"looks": [5, 10]}, sweeps=sweeps)
    assert design.describe_outlook({}) == (
        "look 1 of 2, at 5 seeds: 3 of 3 arms go on (vae, vae β=4, gmvae); "
        "up to 15 more cells follow from the rows of these"
    )


def test_looks_at_studies_count_trials_and_trainings() -> None:
    search = {
        "trials": 4,
        "studies": {"looks": [5, 8]},
        "space": {"learning_rate": {"log": [1e-4, 1e-2]}},
    }
    sweeps = [{"model": name, "validation": 10} for name in CARDS]
    design = make_design(seeds=2, search=search, compare={"unit": "study"}, sweeps=sweeps)
    assert design.describe_outlook({}) == (
        "look 1 of 2, at 5 studies: 2 of 2 arms go on (vae, gmvae); "
        "up to 56 more cells follow from the rows of these"
    )
    assert len(design.list_due({})) == 2 * 5 * 4

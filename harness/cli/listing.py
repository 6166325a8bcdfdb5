"""What `--list` prints: the shipped grids, registered models, data sets and optional metrics."""

from collections.abc import Sequence

from rich.console import Console

from harness.data.loading import describe
from harness.evaluation.further_metrics import list_optional_columns
from harness.experiment import grid_file
from harness.monitoring import tensorboard as tensorboard  # the shipped tracker registers itself
from harness.plugins import registry
from harness.plugins.dataset import registered_datasets
from harness.plugins.registry import load_plugins
from harness.plugins.tracker import registered_trackers


def show_list(plugins: Sequence[str] = ()) -> int:
    """Print the shipped grids, the models, data sets and metrics, those of plug-ins too."""
    load_plugins(plugins)
    console = Console(highlight=False, soft_wrap=True)
    cards = registry.cards()
    versions = dict.fromkeys(registered_datasets, "")  # for the number of cells alone
    console.print("grids:")
    for name in grid_file.list_shipped():
        shipped_grid = grid_file.validate(grid_file.read(name))
        console.print(
            f"  {name:<10}{len(shipped_grid.cells(cards, None, versions)):>4} cells    "
            f"{shipped_grid.title}"
        )
    console.print("models:")
    for name, card in cards.items():
        settings = ", ".join(f"{setting}={value}" for setting, value in card.defaults.items())
        console.print(
            f"  {name:<10}{card.iterations:,} steps    {settings}    "
            f"({', '.join(card.supervisions)})"
        )
        console.print(f"  {'':<10}{card.story}")
    console.print("data sets:")
    for name, dataset in sorted(registered_datasets.items()):
        console.print(f"  {describe(name, dataset)}", markup=False, emoji=False)
    console.print(f"trackers: {', '.join(sorted(registered_trackers))}")
    console.print(f"metrics on request (--metrics): {', '.join(list_optional_columns())}")
    return 0

"""What `--list` prints: the shipped grids, the registered models and the data sets."""

from collections.abc import Sequence

from rich.console import Console

from harness.data.loading import describe
from harness.experiment import grid_file
from harness.plugins import registry
from harness.plugins.dataset import registered_datasets
from harness.plugins.registry import load_plugins


def show_list(plugins: Sequence[str] = ()) -> int:
    """Print the shipped grids, the registered models and data sets, those of plug-ins too."""
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
    return 0

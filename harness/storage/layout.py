"""Where every file lies in a results folder.

results.parquet                one row per cell, compacted from rows/
names.json                     names of arms that people gave, in place of those made from settings
rows/CELL.json                 one row, written by the worker that computed it
curves/CELL.parquet            the learning curve
samples/CELL.png               200 digits from the prior
reconstructions/CELL.png       lines of test images, each above its reconstructions
traversals/CELL.png            one line per latent dimension
predictions/CELL.npy           the class that a classifier predicts for each test image
targets/DATASET.npy            the true classes of the test images
weights/CELL.safetensors       final weights
checkpoints/CELL.safetensors   training state, removed when the cell is done
scores/CELL.safetensors        scores of an interrupted scoring, removed with its end
judges/DATASET.safetensors     the digit classifier
provenance/RUN.json            the command, versions and machine of a run
plugins/SHA256.json            the files of a plug-in, by the checksum that rows name
damaged/                       unreadable rows and tables, moved here unchanged
progress/RUN.json              the status of a run
logs/CELL.txt                  the last error of a failed cell
tensorboard/CELL/              TensorBoard's event files
"""

from typing import Literal

from harness.experiment.cell import Cell

TABLE = "results.parquet"
ARM_NAMES = "names.json"
PictureKind = Literal["samples", "reconstructions", "traversals"]

# folders that are listed, and the suffix of the files in them
ROWS = ("rows", ".json")
CURVES = ("curves", ".parquet")
CHECKPOINTS = ("checkpoints", ".safetensors")
WEIGHTS = ("weights", ".safetensors")
SCORES = ("scores", ".safetensors")
PROVENANCE = ("provenance", ".json")
PROGRESS = ("progress", ".json")
LOGS = ("logs", ".txt")
PICTURES = (("samples", ".png"), ("reconstructions", ".png"), ("traversals", ".png"))
PREDICTIONS = ("predictions", ".npy")
TARGETS = ("targets", ".npy")
DIGIT_CLASSIFIERS = ("judges", ".safetensors")
PLUGINS = ("plugins", ".json")
DAMAGED = ("damaged", "")
TENSORBOARD = "tensorboard"  # a folder of files for each cell

# what is stored of one cell beside its row, and what cells or runs share
CELL_FOLDERS = (CURVES, *PICTURES, PREDICTIONS, WEIGHTS, CHECKPOINTS, SCORES, LOGS)
SHARED_FOLDERS = (TARGETS, DIGIT_CLASSIFIERS, PROVENANCE, PLUGINS, PROGRESS, DAMAGED)


def name_of(key: str) -> str:
    """The cell, run or data set that a key belongs to.

    >>> name_of("curves/0123456789abcdef.parquet")
    '0123456789abcdef'
    """
    return key.rpartition("/")[2].partition(".")[0]


def folder_of(key: str) -> str:
    """The folder that a key lies in, or the file's own name at the top.

    >>> folder_of("tensorboard/0123456789abcdef/events.1"), folder_of("results.parquet")
    ('tensorboard', 'results.parquet')
    """
    return key.partition("/")[0]


def cell_of_key(key: str) -> str:
    """The id under which a file of `CELL_FOLDERS` or TensorBoard is stored.

    >>> cell_of_key("tensorboard/0123456789abcdef/events.1")
    '0123456789abcdef'
    """
    return key.split("/")[1] if folder_of(key) == TENSORBOARD else name_of(key)


def row_key(cell: str) -> str:
    """The row of a cell (its id)."""
    return f"rows/{cell}.json"


def curve_key(cell: str) -> str:
    """The learning curve of a cell (its id)."""
    return f"curves/{cell}.parquet"


def picture_key(kind: PictureKind, cell: str) -> str:
    """A picture of a cell (its id)."""
    return f"{kind}/{cell}.png"


def predictions_key(cell: str) -> str:
    """The classes that the classifier of a cell (its id) predicts."""
    return f"predictions/{cell}.npy"


def targets_key(dataset: str) -> str:
    """The true classes of a data set's test images."""
    return f"targets/{dataset}.npy"


def weights_key(cell: Cell) -> str:
    """The final weights of a cell."""
    return f"weights/{cell.id}.safetensors"


def checkpoint_key(cell: Cell) -> str:
    """The training state of a cell; the rungs of one trial of a search share it."""
    return f"checkpoints/{cell.state_id}.safetensors"


def scores_key(cell: str) -> str:
    """The scores of a cell (its id) until its row is written."""
    return f"scores/{cell}.safetensors"


def digit_classifier_key(dataset: str) -> str:
    """The digit classifier of a data set."""
    return f"judges/{dataset}.safetensors"


def provenance_key(run: str) -> str:
    """The provenance of a run (its id)."""
    return f"provenance/{run}.json"


def plugin_key(sha256: str) -> str:
    """The files of a plug-in, by its checksum."""
    return f"plugins/{sha256}.json"


def damaged_key(digest: str, key: str) -> str:
    """Where the unreadable content of `key` is moved to; `digest` is of the content."""
    return f"damaged/{digest}-{key.rpartition('/')[2]}"


def progress_key(run: str) -> str:
    """The status of a run (its id)."""
    return f"progress/{run}.json"


def log_key(cell: str) -> str:
    """The last error of a cell (its id)."""
    return f"logs/{cell}.txt"


def tensorboard_key(cell: str) -> str:
    """The folder of a cell's (its id) TensorBoard files."""
    return f"{TENSORBOARD}/{cell}"

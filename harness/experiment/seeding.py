"""Random streams: each purpose has its own, from `derive(seed, purpose, index)`.

Nothing else feeds randomness. A draw is addressed by seed, purpose and index (the epoch of an
order, the step of a noise), so no generator's state is stored: a run that is resumed at step n
draws the same numbers there as an uninterrupted one.
"""

import hashlib
from typing import Literal, get_args

import torch

TrainingPurpose = Literal["weights", "order", "binarisation", "noise", "labels", "start"]
EvaluationPurpose = Literal[
    "test binarisation",
    "test noise",
    "subset noise",
    "iwae noise",
    "samples",
    "pixels",
    "reconstructions",
    "judge",
    "training images",
    "validation split",
    "validation binarisation",
    "validation noise",
]
Purpose = TrainingPurpose | EvaluationPurpose
PURPOSES = (*get_args(TrainingPurpose), *get_args(EvaluationPurpose))
# the seed of evaluation draws, which all cells share, so that arms are compared on the same test
EVALUATION_SEED = 0


def derive(seed: int, purpose: Purpose, index: int = 0) -> int:
    """A seed of 63 bits for draw `index` of a purpose.

    Draws of different seeds, purposes and indices are independent. ValueError for an unknown
    purpose.

    >>> derive(0, "order") == derive(0, "order", 0) != derive(0, "noise")
    True
    """
    if purpose not in PURPOSES:
        raise ValueError(f"no purpose {purpose!r}; expected one of {', '.join(PURPOSES)}")
    digest = hashlib.sha256(f"{seed}/{purpose}/{index}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(
    seed: int, purpose: Purpose, index: int = 0, device: torch.device | str = "cpu"
) -> torch.Generator:
    """A torch generator for draw `index` of a purpose."""
    return torch.Generator(device).manual_seed(derive(seed, purpose, index))


def evaluation_generator(purpose: EvaluationPurpose, index: int = 0) -> torch.Generator:
    """A CPU generator for evaluation: the same for every cell and device."""
    return generator(EVALUATION_SEED, purpose, index)

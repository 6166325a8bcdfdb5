"""The Inception net whose features define FID and KID, as torch-fidelity has it.

It is the Inception-v3 of 2015-12-05 that Heusel et al. 2017 used, with its weights converted from
TensorFlow; torch-fidelity resizes images to 299×299 as TensorFlow 1 did. The weights are looked for
in torch's cache ($TORCH_HOME/hub/checkpoints) and downloaded into it.
"""

import functools
import hashlib
import importlib.util
import urllib.request
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from harness.errors import InputError
from harness.storage.local import write_atomically

# (n, 3, height, width) bytes -> a tuple of the features (n, 2048)
Extractor = Callable[[Tensor], tuple[Tensor, ...]]

LAYER = "2048"  # the average over the last 8×8 places, the default for FID and KID
PACKAGE = "torch_fidelity"
FILE = "weights-inception-2015-12-05-6726825d.pth"
ADDRESS = f"https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/{FILE}"
HASH = "6726825d"  # how the SHA-256 of the file begins
TIMEOUT_SECONDS = 30  # without any answer


def check_inception() -> None:
    """InputError where the net cannot be loaded on this machine; the weights are downloaded."""
    refuse_missing_package()
    find_weights()


def refuse_missing_package() -> None:
    """InputError where torch-fidelity is not installed."""
    if importlib.util.find_spec(PACKAGE) is None:
        raise InputError(
            "metrics fid and kid need the package torch-fidelity; "
            "pip install generative-bench[fidelity]"
        )


def find_weights() -> Path:
    """The verified file of the weights; InputError if it is damaged or cannot be downloaded."""
    path = Path(torch.hub.get_dir()) / "checkpoints" / FILE
    if not path.is_file():
        write_atomically(path, _download(path))
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if not found.startswith(HASH):
        raise InputError(
            f"Inception weights {path} are altered or truncated: SHA-256 {found}, expected "
            f"{HASH}...; delete the file to download it again"
        )
    return path


def _download(path: Path) -> bytes:
    try:
        with urllib.request.urlopen(ADDRESS, timeout=TIMEOUT_SECONDS) as response:
            content: bytes = response.read()
    except OSError as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(
            "metrics fid and kid need the weights of the Inception net, which cannot be downloaded "
            f"({reason}); expected {ADDRESS} as {path}"
        ) from None
    return content


@functools.lru_cache(maxsize=1)
def load_extractor(device: torch.device) -> Extractor:
    """The net on a device, in float32; InputError as `check_inception`."""
    refuse_missing_package()
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    net: Extractor = FeatureExtractorInceptionV3(
        "inception-v3-compat", [LAYER], feature_extractor_weights_path=str(find_weights())
    ).to(device)
    return net

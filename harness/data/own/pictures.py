"""A user's own folder of images, in the layout of torchvision's ImageFolder."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from harness.data.own.arrays import TEST_SHARE, describe_arrays
from harness.errors import InputError
from harness.plugins.dataset import DataSpec, Splits

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".pgm", ".ppm", ".tif", ".tiff", ".webp")
# how images of PIL's modes are read; others, such as 16 bits, have no 8-bit form
MODES = {"1": "1", "L": "L", "LA": "L"} | dict.fromkeys(
    ("RGB", "RGBA", "P", "PA", "CMYK", "YCbCr"), "RGB"
)
PARTS = ("train", "test", "validation")
Images = dict[str, list[Path]]  # by class, sorted


def read_folder(folder: Path) -> tuple[DataSpec, Splits]:
    """The images of CLASS/*.png, or of train/, test/ and validation/ above such folders.

    Classes are numbered in the order of their names. Without train/ and test/ the last tenth of
    each class, in the order of the files' names, is the test set. Grey images have one channel and
    colour images three; images of one bit are binary. InputError if images differ in size.
    """
    images_by_part = _find_images(folder)
    _check_same_classes(folder, images_by_part)
    paths = {
        part: [path for paths in images.values() for path in paths]
        for part, images in images_by_part.items()
    }
    labels = {
        f"{part}_y": np.repeat(np.arange(len(images)), [len(paths) for paths in images.values()])
        for part, images in images_by_part.items()
    }
    x = stack_images([(str(path), _open(path)) for part in paths.values() for path in part])
    ends = np.cumsum([len(part) for part in paths.values()])[:-1]
    pictures = dict(zip((f"{part}_x" for part in paths), np.split(x, ends), strict=True))
    return describe_arrays(str(folder), pictures | labels, {})


def _find_images(folder: Path) -> Mapping[str, Images]:
    """The image files of each part: of its folder, or split off."""
    parts = {part: folder / part for part in PARTS if (folder / part).is_dir()}
    if not parts:
        return _split(folder, list_images(folder))
    if not {"train", "test"} <= set(parts):
        raise InputError(
            f"data set {folder}: it has {', '.join(f'{part}/' for part in parts)}; expected train/ "
            "and test/"
        )
    return {part: list_images(path) for part, path in parts.items()}


def list_images(folder: Path) -> Images:
    """The image files of each class; InputError if there is none of a class."""
    classes = sorted(
        path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")
    )
    images = {
        path.name: sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES)
        for path in classes
    }
    empty = [name for name, files in images.items() if not files]
    if empty or not images:
        what = f"no image in {folder / empty[0]}" if empty else "no folder of a class"
        raise InputError(f"data set {folder}: {what}; expected CLASS/*.png")
    return images


def stack_images(images: Sequence[tuple[str, Image.Image]]) -> NDArray[Any]:
    """Named images -> (n, channels, height, width): bytes, or truth values of one-bit images.

    InputError names an image of another size than the first.
    """
    first_name, first = images[0]
    for name, image in images:
        if image.size != first.size:
            raise InputError(
                f"image {name}: {image.width}×{image.height} pixels; expected "
                f"{first.width}×{first.height} as {first_name}"
            )
    modes = {image.mode for _, image in images}
    mode = next(mode for mode in ("RGB", "L", "1") if mode in modes)
    x = np.stack([np.asarray(image.convert(mode)) for _, image in images])
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2)) if mode == "RGB" else x[:, None]


def reduce_mode(name: str, image: Image.Image) -> Image.Image:
    """An image of one bit, 8-bit grey or 8-bit colour; InputError for other images."""
    if image.mode not in MODES:
        raise InputError(f"image {name}: mode {image.mode}; expected 8-bit grey or colour")
    return image.convert(MODES[image.mode])


def _open(path: Path) -> Image.Image:
    try:
        with Image.open(path) as image:
            return reduce_mode(str(path), image)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"image {path} cannot be read ({reason}); expected an image") from None


def _split(folder: Path, images: Images) -> Mapping[str, Images]:
    """The last tenth of each class for the test."""
    few = [name for name, files in images.items() if len(files) < 2]
    if few:
        raise InputError(f"data set {folder}: one image of class {few[0]}; expected at least 2")
    tests = {name: max(1, len(files) // TEST_SHARE) for name, files in images.items()}
    return {
        "train": {name: files[: -tests[name]] for name, files in images.items()},
        "test": {name: files[-tests[name] :] for name, files in images.items()},
    }


def _check_same_classes(folder: Path, parts: Mapping[str, Iterable[str]]) -> None:
    for part, classes in parts.items():
        if different := sorted(set(classes) ^ set(parts["train"])):
            raise InputError(
                f"data set {folder}: class {different[0]} is in one of train/ and {part}/; "
                "expected the same classes"
            )

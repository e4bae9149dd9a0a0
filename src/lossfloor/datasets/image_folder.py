"""A folder with a subfolder of images for each class, perhaps below ``train`` and ``test``."""

from __future__ import annotations

import math
import warnings
from pathlib import Path

import numpy as np

from ._plugin import (
    Array,
    Examples,
    Format,
    Request,
    Rows,
    join,
    labels_from_words,
    must_fit,
    must_not_ask_for_test,
    parts_of,
)

_FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "PPM")
_ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".pgm", ".ppm", ".pnm", ".pbm")
_MODES = ("1", "L", "RGB", "RGBA")


def _read(path: Path, request: Request) -> Examples:
    if not any(_subfolders(path / part) for part in ("train", "test")):
        must_not_ask_for_test(request, str(path))
        return _open_folder(path)
    for part in parts_of(request.split):
        if not (path / part).is_dir():
            raise ValueError(f"{path} has no {part} split: there is no folder {part!r} in it")
    return join([_open_folder(path / part) for part in parts_of(request.split)])


FORMAT = Format(
    "image folder",
    "folder with a subfolder of images a class, all of one size (perhaps below train and test)",
    Path.is_dir,
    _read,
)


def _open_folder(path: Path) -> Examples:
    stray = next((file for file in _visible(path) if file.is_file() and _is_image(file)), None)
    if stray is not None:
        raise ValueError(f"{stray} lies outside of the folders of the classes")
    files: list[Path] = []
    words: list[str] = []
    for folder in _subfolders(path):
        images = _images(folder)
        files += images
        words += [folder.name] * len(images)
    if not files:
        raise ValueError(f"{path} holds no data set: no subfolder with images, and none of the files of other formats")

    def read(rows: Rows) -> Array:
        return _load([files[row] for row in rows])

    return Examples(y=labels_from_words(words, str(path)), read=read, source=f"images in {path}")


def _visible(path: Path) -> list[Path]:
    # Names that systems and tools leave behind are passed over.
    leftovers = ("Thumbs.db", "desktop.ini", "__MACOSX", "__pycache__")
    return sorted(
        (entry for entry in path.iterdir() if not entry.name.startswith(".") and entry.name not in leftovers),
        key=lambda entry: entry.name,
    )


def _subfolders(path: Path) -> list[Path]:
    return [entry for entry in _visible(path) if entry.is_dir()] if path.is_dir() else []


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in _ENDINGS


def _images(folder: Path) -> list[Path]:
    files = _visible(folder)
    for file in files:
        if file.is_dir() or not _is_image(file):
            raise ValueError(f"{file} is no image that is read here ({', '.join(_ENDINGS)})")
    return files


def _load(files: list[Path]) -> Array:
    first = _open_image(files[0])
    must_fit(first.nbytes * len(files), f"{len(files)} images of {first.size} bytes each")
    X = np.empty((len(files), *first.shape), np.uint8)
    for i, file in enumerate(files):
        X[i] = _open_image(file, like=(files[0], first.shape))
    return X


def _open_image(file: Path, like: tuple[Path, tuple[int, ...]] | None = None) -> Array:
    from PIL import Image

    try:
        with warnings.catch_warnings():
            # Pillow only warns of an image that is suspiciously large for its file; here that is an error.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file, formats=_FORMATS) as image:
                if image.mode not in _MODES:
                    raise ValueError(f"its mode is {image.mode}; convert it to one of {', '.join(_MODES)}")
                if getattr(image, "n_frames", 1) != 1:
                    raise ValueError("it has several frames")
                bands = len(image.getbands())
                shape = (image.height, image.width, *((bands,) if bands > 1 else ()))
                if like is not None and shape != like[1]:
                    raise ValueError(f"it is {_worded(shape)}, but {like[0]} is {_worded(like[1])}")
                # Black and white in a bit each become 0 and 255, as in an image of bytes.
                return np.asarray(image.convert("L") if image.mode == "1" else image)
    except Exception as error:  # a damaged or hostile image can fail in any way
        raise ValueError(f"{file} cannot be read: {error}") from error


def _worded(shape: tuple[int, ...]) -> str:
    return f"{shape[1]} x {shape[0]} pixels with {math.prod(shape[2:])} channel{'s' * (len(shape) > 2)}"

"""Checkpoints: written whole or not at all, read without pickled code."""

from __future__ import annotations

import os
import pickle
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lossfloor._checks import must
from lossfloor._files import write_whole
from lossfloor.training.architectures import build

FORMAT = "lossfloor-training-1"

#: What PyTorch raises at files that hold something else, or are damaged.
_DAMAGE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
)


def save(path: str | os.PathLike[str], content: Mapping[str, Any]) -> None:
    """Write a checkpoint to a temporary file, then rename it atomically."""
    write_whole(path, lambda stream: torch.save({"format": FORMAT, **content}, stream))


def load(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read what `save` wrote; only tensors, numbers, strings and containers of them can be in it.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it has another format or is damaged.
    """
    content = load_tensors(path)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(must("path", f"a checkpoint of the format {FORMAT}", os.fspath(path)))
    return content


def load_tensors(path: str | os.PathLike[str]) -> Any:
    """Read a file of `torch.save` without running code from it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of other protocols of pickle, which are refused all the same
            return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise
    except _DAMAGE as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ValueError(must("path", "a file of tensors", f"{os.fspath(path)} ({first})")) from None


def load_model(
    path: str | os.PathLike[str], *, architecture: str | None = None, shape: Any = None, **options: Any
) -> nn.Module:
    """Read a network: a checkpoint of `fit`, a bare ``state_dict``, TorchScript or `torch.export`.

    Parameters
    ----------
    path : path
    architecture : str, optional
        For a bare ``state_dict``: a name in `ARCHITECTURES`.
    shape : sequence of int, optional
        For a bare ``state_dict``: the shape of one input.
    **options
        For a bare ``state_dict``: options of the architecture.

    Returns
    -------
    torch.nn.Module
        In evaluation, on the CPU.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is none of these, or weights do not fit the architecture.

    Notes
    -----
    Files of tensors are read with ``weights_only=True``, always.  TorchScript and `torch.export` files are programs of
    PyTorch's own: take them only from who you trust.
    """
    kind = _kind(Path(path))
    if kind == "script":
        scripted: nn.Module = torch.jit.load(os.fspath(path), map_location="cpu")  # type: ignore[no-untyped-call]
        return scripted.eval()
    if kind == "export":
        return torch.export.load(os.fspath(path)).module()
    content = load_tensors(path)
    if isinstance(content, dict) and content.get("format") == FORMAT:
        made = content.get("architecture")
        if not isinstance(made, dict):
            raise ValueError(must("path", "a checkpoint that names its architecture", os.fspath(path)))
        architecture, shape, options = made["name"], made["shape"], made["options"]
        content = content["weights"]
    if architecture is None or shape is None:
        raise ValueError(must("architecture", "given for a file of weights only", architecture))
    model = build(architecture, shape, **options)
    try:
        model.load_state_dict(content)
    except (RuntimeError, TypeError, AttributeError) as error:
        raise ValueError(
            f"the weights in {os.fspath(path)} are not of the architecture {architecture}: {error}"
        ) from None
    return model.eval()


def _kind(path: Path) -> str:
    """Tell programs from files of tensors by what is in the archive."""
    if not path.exists():
        raise FileNotFoundError(2, "no such file", os.fspath(path))
    if not zipfile.is_zipfile(path):
        return "tensors"
    with zipfile.ZipFile(path) as archive:
        names = {name.partition("/")[2] for name in archive.namelist()}
    if "archive_format" in names:
        return "export"
    return "script" if "constants.pkl" in names else "tensors"

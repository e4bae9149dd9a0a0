"""Data sets with soft labels, and inputs for networks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from lossfloor.training import SoftLabelDataset, as_device, as_inputs


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((3, 5), (3, 5)), ((3, 4, 6), (3, 1, 4, 6)), ((3, 4, 6, 3), (3, 3, 4, 6))],
)
def test_inputs_have_their_channels_first(shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    X = np.random.default_rng(0).integers(0, 256, size=shape, dtype=np.uint8)
    x = as_inputs(X, unit=255)
    assert x.shape == expected
    assert x.dtype == torch.float32
    back = x.numpy() if len(shape) < 4 else np.moveaxis(x.numpy(), 1, -1)
    assert np.array_equal(back.reshape(shape), (X.astype(np.float64) / 255).astype(np.float32))


def test_float_tensors_of_four_axes_stay_as_they_are() -> None:
    x = torch.rand(2, 3, 4, 4)
    assert torch.equal(as_inputs(x), x)


@pytest.mark.parametrize(
    ("X", "unit", "message"),
    [
        (np.full((2, 2), 255, np.uint8), 1, "'X' must be in \\[0, 1\\] once divided by its unit"),
        (np.full((2, 2), np.nan), 1, "'X' must be in"),
        (np.zeros((0, 2)), 1, "no example"),
        (np.zeros(3), 1, "of 2, 3 or 4 axes"),
        (np.zeros((2, 2)), 0, "'unit' must be positive"),
    ],
)
def test_inputs_that_are_none(X: object, unit: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        as_inputs(X, unit=unit)


def test_examples_carry_soft_label_and_index_through_a_loader() -> None:
    X, y = torch.arange(14.0).view(7, 2) / 14, [0, 1, 1, 0, 1, 0, 0]
    soft = np.stack([np.linspace(0, 1, 7), 1 - np.linspace(0, 1, 7)], axis=1)
    data = SoftLabelDataset((X, y), soft)
    generator = torch.Generator().manual_seed(0)
    seen = []
    for x, label, target, index in DataLoader(data, batch_size=3, shuffle=True, generator=generator):
        assert torch.equal(x, X[index])
        assert label.tolist() == [y[i] for i in index]
        assert target.numpy() == pytest.approx(soft[index.numpy()])
        seen += index.tolist()
    assert sorted(seen) == list(range(7))


class _Pairs(Dataset[tuple[np.ndarray, int]]):
    def __len__(self) -> int:
        return 4

    def __getitem__(self, i: int) -> tuple[np.ndarray, int]:
        return np.full((2,), i / 4), i % 2


def test_any_map_style_data_set_will_do() -> None:
    data = SoftLabelDataset(_Pairs())
    x, labels, soft = data.batch(torch.tensor([3, 0]))
    assert x.tolist() == [[0.75, 0.75], [0.0, 0.0]]
    assert labels.tolist() == [1, 0]
    assert soft.tolist() == [[0.0, 1.0], [1.0, 0.0]]
    assert data.hard
    assert data[2][0].tolist() == [0.5, 0.5]


def test_a_fingerprint_tells_data_apart() -> None:
    X, y = np.zeros((2, 2)), [0, 1]
    one = SoftLabelDataset((X, y)).fingerprint()
    assert one == SoftLabelDataset((X.copy(), np.array(y))).fingerprint()
    assert one != SoftLabelDataset((X + 0.5, y)).fingerprint()
    assert one != SoftLabelDataset((X, y), [[0.9, 0.1], [0.0, 1.0]]).fingerprint()


@pytest.mark.parametrize(
    ("y", "soft", "message"),
    [
        ([0.5, 1.0], None, "whole numbers as labels"),
        ([0, 1, 1], None, "whole numbers as labels"),
        ([0, 2], None, "labels from 0 to 1"),
        ([-1, 1], None, "labels from 0 to 1"),
        ([0, 1], [[1.0, 0.0]], "'soft_labels' must be of shape"),
        ([0, 1], [[0.5, 0.4], [1.0, 0.0]], "sum to one"),
        ([0, 1], [[1.5, -0.5], [1.0, 0.0]], "sum to one"),
        ([0, 1], [[np.nan, 1.0], [1.0, 0.0]], "sum to one"),
    ],
)
def test_mistakes_are_told(y: list[int], soft: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SoftLabelDataset((np.zeros((2, 3)), y), soft)


def test_a_device_that_is_none() -> None:
    for name in ("gpu", "cuda:77", 3.5):
        with pytest.raises(ValueError, match="'device' must be one that PyTorch can use here"):
            as_device(name)

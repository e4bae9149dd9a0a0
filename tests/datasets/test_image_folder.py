"""Folders of images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lossfloor.datasets import load


def picture(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def save(path: Path, pixels: np.ndarray) -> np.ndarray:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return pixels


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 3), (4, 5, 4)])
@pytest.mark.parametrize("ending", ["png", "tif", "PNG"])
def test_pixels_come_back_class_by_class_in_the_order_of_names(
    tmp_path: Path, shape: tuple[int, ...], ending: str
) -> None:
    first = save(tmp_path / f"dog/a.{ending}", picture(0, *shape))
    second = save(tmp_path / f"dog/b.{ending}", picture(1, *shape))
    third = save(tmp_path / f"cat/z.{ending}", picture(2, *shape))
    data = load(tmp_path)
    np.testing.assert_array_equal(data.X, [third, first, second])
    assert data.X.dtype == np.uint8
    assert data.X.flags.c_contiguous
    assert data.y.tolist() == ["cat", "dog", "dog"]
    assert data.unit == 255
    np.testing.assert_array_equal(load(tmp_path, classes=["dog"], n_per_class=1).X, [first])


def test_folders_that_are_numbers_are_integer_labels(tmp_path: Path) -> None:
    for name in ("3", "7", "10"):
        save(tmp_path / name / "a.png", picture(3, 2, 2))
    assert load(tmp_path).y.tolist() == [10, 3, 7]
    assert load(tmp_path, classes=(3, 7)).y.tolist() == [3, 7]


def test_black_and_white_in_bits_is_0_and_255(tmp_path: Path) -> None:
    pixels = picture(4, 3, 3) > 127
    save(tmp_path / "a/a.png", pixels)
    data = load(tmp_path)
    np.testing.assert_array_equal(data.X[0], pixels * np.uint8(255))
    assert data.X.dtype == np.uint8


def test_the_splits(tmp_path: Path) -> None:
    train = save(tmp_path / "train/a/1.png", picture(5, 2, 2))
    test = save(tmp_path / "test/a/1.png", picture(6, 2, 2))
    np.testing.assert_array_equal(load(tmp_path).X, [train])
    np.testing.assert_array_equal(load(tmp_path, split="test").X, [test])
    np.testing.assert_array_equal(load(tmp_path, split="all").X, [train, test])
    with pytest.raises(ValueError, match="is not divided into splits"):
        load(tmp_path / "train", split="test")


def test_a_split_that_is_not_there(tmp_path: Path) -> None:
    save(tmp_path / "train/a/1.png", picture(5, 2, 2))
    with pytest.raises(ValueError, match="has no test split: there is no folder 'test' in it"):
        load(tmp_path, split="test")


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    save(tmp_path / "train/1.png", picture(7, 2, 2))
    save(tmp_path / "car/1.png", picture(8, 2, 2))
    assert load(tmp_path).y.tolist() == ["car", "train"]


def test_leftovers_of_systems_are_passed_over(tmp_path: Path) -> None:
    save(tmp_path / "a/1.png", picture(9, 2, 2))
    for name in (".DS_Store", "Thumbs.db", "._1.png"):
        (tmp_path / "a" / name).write_bytes(b"x")
    (tmp_path / "README.txt").write_text("hello", encoding="utf-8")
    save(tmp_path / ".cache/1.png", picture(9, 2, 2))
    save(tmp_path / "__MACOSX/1.png", picture(9, 2, 2))
    assert load(tmp_path).y.tolist() == ["a"]


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (
            picture(10, 3, 2),
            r"b.png cannot be read: it is 2 x 3 pixels with 1 channel, but .*a.png is 2 x 2 pixels",
        ),
        (
            picture(10, 2, 2, 3),
            r"b.png cannot be read: it is 2 x 2 pixels with 3 channels, but .*a.png is 2 x 2",
        ),
        (
            picture(10, 2, 2).astype(np.uint16),
            "b.png cannot be read: its mode is I;?.*; convert it to one of 1, L, RGB",
        ),
    ],
)
def test_all_images_must_have_one_size_and_mode(tmp_path: Path, pixels: np.ndarray, message: str) -> None:
    save(tmp_path / "a/a.png", picture(11, 2, 2))
    save(tmp_path / "a/b.png", pixels)
    with pytest.raises(ValueError, match=message):
        load(tmp_path)


def test_a_palette_is_no_picture(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    Image.fromarray(picture(12, 2, 2)).convert("P").save(tmp_path / "a/a.png")
    with pytest.raises(ValueError, match=r"a.png cannot be read: its mode is P"):
        load(tmp_path)


def test_an_animation_is_no_picture(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    frames = [Image.fromarray(picture(seed, 2, 2)) for seed in (13, 14)]
    frames[0].save(tmp_path / "a/a.tif", save_all=True, append_images=frames[1:])
    with pytest.raises(ValueError, match="it has several frames"):
        load(tmp_path)


@pytest.mark.parametrize("damage", ["cut", "no image", "empty"])
def test_images_that_are_damaged(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "a/a.png"
    save(path, picture(15, 30, 30))
    path.write_bytes({"cut": path.read_bytes()[:400], "no image": b"hello", "empty": b""}[damage])
    with pytest.raises(ValueError, match=r"a\.png cannot be read"):
        load(tmp_path)


@pytest.mark.parametrize("limit", [60, 30])
def test_a_bomb_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    # Pillow warns beyond its limit, and raises beyond twice of it; both are errors here.
    save(tmp_path / "a/a.png", picture(16, 10, 10))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(ValueError, match=r"a\.png cannot be read: Image size \(100 pixels\) exceeds limit"):
        load(tmp_path)


def test_a_set_beyond_the_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "abc":
        save(tmp_path / f"a/{name}.png", picture(17, 10, 10))
    monkeypatch.setattr("lossfloor.datasets._plugin.MAX_BYTES", 299)
    with pytest.raises(ValueError, match="would take 300 bytes of memory; the limit is 299"):
        load(tmp_path)


def test_folders_that_hold_no_set(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no data set: no subfolder with images"):
        load(tmp_path)
    (tmp_path / "a").mkdir()
    with pytest.raises(ValueError, match="holds no data set: no subfolder with images"):
        load(tmp_path)
    (tmp_path / "a/notes.txt").write_text("hello", encoding="utf-8")
    with pytest.raises(ValueError, match=r"notes\.txt is no image that is read here \(\.png"):
        load(tmp_path)
    (tmp_path / "a/notes.txt").unlink()
    (tmp_path / "a/b").mkdir()
    with pytest.raises(ValueError, match="b is no image that is read here"):
        load(tmp_path)
    save(tmp_path / "stray.png", picture(18, 2, 2))
    with pytest.raises(ValueError, match=r"stray\.png lies outside of the folders of the classes"):
        load(tmp_path)

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from torchvision import transforms
from torchvision.transforms import InterpolationMode, v2

from src.config import Data, Resize
from src.data import GalleryDataModule, Transform, collate, worker_count
from src.gallery import Gallery, folder_gallery

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SQUASH = Transform(Resize.squash, 32, 40, None, MEAN, STD)
CROP, PAD = replace(SQUASH, resize=Resize.crop), replace(SQUASH, resize=Resize.pad)
SIZES = [(40, 40), (64, 48), (37, 91), (91, 37), (200, 33), (31, 5), (500, 333), (33, 34)]
LEVEL = 1.001 / 255 / min(STD)  # one step of an 8-bit pixel


def noise(width: int, height: int) -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def smooth(width: int, height: int) -> Image.Image:
    return noise(7, 7).resize((width, height), Image.Resampling.BICUBIC)


def pixels(square: torch.Tensor) -> np.ndarray:
    """(3, h, w) normalized to (h, w, 3) from 0 to 255."""
    return ((square * torch.tensor(STD)[:, None, None] + torch.tensor(MEAN)[:, None, None]) * 255
            ).permute(1, 2, 0).numpy()  # fmt: skip


def torchvision_squash(image: Image.Image) -> torch.Tensor:
    steps = [transforms.Resize((32, 32)), transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
    return transforms.Compose(steps)(image)


def torchvision_v2_squash(image: Image.Image) -> torch.Tensor:
    tensor = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)]
    return v2.Compose([v2.Resize((32, 32)), *tensor])(image)


def torchvision_crop(image: Image.Image, interpolation: InterpolationMode) -> torch.Tensor:
    steps = [transforms.Resize(40, interpolation), transforms.CenterCrop(32)]
    tensor = [transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
    return transforms.Compose(steps + tensor)(image)


@pytest.fixture
def gallery(paintings: Path, tmp_path: Path) -> Gallery:
    """12 paintings, of which rows 0 and 5 cannot be read."""
    for file in ("ada/0.png", "bea/1.png"):
        (paintings / file).write_text("no image")
    return folder_gallery(paintings, None, None, 0, tmp_path / "outputs")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("reference", [torchvision_squash, torchvision_v2_squash])
def test_squash_equals_torchvision(
    size: tuple[int, int], reference: Callable[[Image.Image], torch.Tensor]
) -> None:
    image = noise(*size)
    torch.testing.assert_close(SQUASH(image), reference(image), atol=1e-6, rtol=0)


@pytest.mark.parametrize("size", SIZES)
def test_crop_equals_torchvision_to_two_levels(size: tuple[int, int]) -> None:
    image = noise(*size)
    expected = torchvision_crop(image, InterpolationMode.BILINEAR)
    torch.testing.assert_close(CROP(image), expected, atol=2 * LEVEL, rtol=0)


@pytest.mark.parametrize("size", SIZES)
def test_a_bicubic_crop_equals_torchvision_on_smooth_pictures(size: tuple[int, int]) -> None:
    image = smooth(*size)
    expected = torchvision_crop(image, InterpolationMode.BICUBIC)
    bicubic = replace(CROP, interpolation="bicubic")
    torch.testing.assert_close(bicubic(image), expected, atol=2 * LEVEL, rtol=0)


@pytest.mark.parametrize("size", [(80, 20), (20, 80)])
def test_pad_keeps_the_whole_picture(size: tuple[int, int]) -> None:
    padded = pixels(PAD(Image.new("RGB", size, "white")))
    padded = padded if size[0] > size[1] else padded.swapaxes(0, 1)
    assert padded[12:20].min() > 254.9
    assert max(padded[:12].max(), padded[20:].max()) < 0.1


@pytest.mark.parametrize("size", SIZES)
def test_pad_equals_pillow(size: tuple[int, int]) -> None:
    image = noise(*size)
    assert torch.equal(PAD(image), SQUASH(ImageOps.pad(image, (32, 32), Image.Resampling.BILINEAR)))


@pytest.mark.parametrize("resize", Resize)
@pytest.mark.parametrize("longer_side", [None, 200])
@pytest.mark.parametrize("size", [(1, 1), (1, 2000), (2000, 1), (1, 1_000_000)])
def test_thin_pictures_become_squares(
    resize: Resize, longer_side: int | None, size: tuple[int, int]
) -> None:
    make = replace(SQUASH, resize=resize, longer_side=longer_side)
    square = make(Image.new("RGB", size, "white"))
    assert (square.shape, square.dtype) == ((3, 32, 32), torch.float32)
    assert pixels(square).max() == pytest.approx(255)


def test_large_pictures_are_first_reduced() -> None:
    image = smooth(300, 200)
    expected = image.copy()
    expected.thumbnail((60, 60))
    assert expected.size == (60, 40)
    reduced = replace(SQUASH, longer_side=60)(image.copy())
    assert torch.equal(reduced, SQUASH(expected))
    assert not torch.equal(reduced, SQUASH(image))


@pytest.mark.parametrize("size", [(60, 40), (40, 60), (3, 3)])
def test_small_pictures_are_never_enlarged_first(size: tuple[int, int]) -> None:
    image = noise(*size)
    assert torch.equal(replace(SQUASH, longer_side=60)(image.copy()), SQUASH(image))


def test_a_transforms_repr_tells_its_options_apart() -> None:
    others = [CROP, PAD, replace(SQUASH, size=33), replace(SQUASH, longer_side=60)]
    assert len({repr(made) for made in [SQUASH, *others]}) == 5


# Python 3.12 warns of any fork of a process that has threads
@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("batch_size", [1, 5, 100])
def test_batches_carry_every_row_once(gallery: Gallery, batch_size: int, workers: int) -> None:
    data = Data(batch_size=batch_size, workers=workers)
    batches = list(GalleryDataModule(gallery, SQUASH, data).predict_dataloader())
    assert [row for b in batches for row in b.rows] == [1, 2, 3, 4, 6, 7, 8, 9, 10, 11]
    assert [row for b in batches for row, _ in b.unreadable] == [0, 5]
    assert all("cannot identify" in reason for b in batches for _, reason in b.unreadable)
    assert max(len(b.rows) + len(b.unreadable) for b in batches) <= batch_size
    for row, image in (
        (row, im) for b in batches for row, im in zip(b.rows, b.images, strict=True)
    ):
        with Image.open(gallery.root / gallery.files[row]) as picture:
            assert torch.equal(image, SQUASH(picture))


def test_pictures_over_max_pixels_are_unreadable(gallery: Gallery) -> None:
    images = GalleryDataModule(gallery, SQUASH, Data(max_pixels=40 * 31, workers=0))
    (batch,) = images.predict_dataloader()
    assert batch.rows == [1, 4, 8, 9]  # 40 x 30 and 40 x 31
    assert dict(batch.unreadable)[2] == "1280 pixels, more than data.max_pixels=1240"


def test_a_batch_of_unreadable_pictures_alone_has_no_rows() -> None:
    batch = collate([(3, "why"), (4, "why not")])
    assert (batch.rows, batch.unreadable) == ([], [(3, "why"), (4, "why not")])
    assert batch.images.numel() == 0


def test_workers_are_chosen_for_the_machine(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = []
    for cores in (1, 2, 3, 64):
        monkeypatch.setattr("os.sched_getaffinity", lambda _, n=cores: set(range(n)), raising=False)
        counts.append(worker_count())
    assert counts == [0, 0, 2, 8]
    assert GalleryDataModule(gallery, SQUASH, Data()).workers == 8
    assert GalleryDataModule(gallery, SQUASH, Data(workers=3)).workers == 3


@pytest.mark.parametrize(("own", "sharing", "workers"), [(16, 4, 3), (16, 8, 0), (4, 4, 3)])
def test_processes_share_the_cores(
    own: int, sharing: int, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 16)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(own)), raising=False)
    assert worker_count(sharing) == workers

"""The baseline of colors, against published colors and a histogram counted pixel by pixel."""

from itertools import product

import numpy as np
import pytest
import torch
from torch import Tensor

from src.config import Backbone
from src.config.data import Data
from src.config.enums import Pooling
from src.embedding.color import BINS, HIGHEST, LOWEST, ColorNetwork, Histogram, Lab
from src.embedding.compilation import OpenVino
from src.embedding.extractor import Extractor, build_extractor
from src.embedding.models import load_network, preset_of
from src.embedding.pooling import Output
from src.embedding.presets import weights_id
from src.embedding.transforms import transform
from src.errors import UserError

COLOR = Backbone(name="color", weights="none", layer="histogram")
# sRGB from 0 to 255, and CIELAB under D65 as B. Lindbloom's calculator gives it
PUBLISHED = {
    (255, 255, 255): (100.0, 0.0, 0.0),
    (0, 0, 0): (0.0, 0.0, 0.0),
    (255, 0, 0): (53.2408, 80.0925, 67.2032),
    (0, 255, 0): (87.7347, -86.1827, 83.1793),
    (0, 0, 255): (32.2970, 79.1875, -107.8602),
    (128, 128, 128): (53.5850, 0.0, 0.0),
    (5, 5, 5): (1.3707, 0.0, 0.0),
    (100, 60, 20): (29.393, 13.906, 30.860),
    (20, 40, 60): (15.447, -0.746, -15.237),
    (64, 64, 64): (27.093, 0.0, 0.0),
}


def drawn(count: int, size: int = 12) -> Tensor:
    """Return (count, 3, size, size) random pixels from 0 to 1."""
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(0))


def extractor() -> Extractor:
    prepare = transform(preset_of(COLOR), Data())
    return build_extractor(
        load_network(COLOR, 0), [Output("histogram", Pooling.avg)], COLOR, prepare
    )


@pytest.mark.parametrize("rgb", PUBLISHED)
def test_lab_is_as_published(rgb: tuple[int, int, int]) -> None:
    pixels = torch.tensor(rgb).reshape(1, 3, 1, 1) / 255
    np.testing.assert_allclose(Lab()(pixels)[0, 0], PUBLISHED[rgb], atol=0.02)


def test_the_histogram_is_that_of_a_count_pixel_by_pixel() -> None:
    lab = Lab()(drawn(2))
    for row, pixels in zip(Histogram()(lab).numpy(), lab.double().numpy(), strict=True):
        counts = np.zeros((BINS,) * 3)
        for pixel in pixels:
            place = (pixel - LOWEST) / (np.array(HIGHEST) - LOWEST) * (BINS - 1)
            place = np.clip(place, 0, BINS - 1)
            low = np.minimum(place.astype(int), BINS - 2)
            part = place - low
            for corner in product((0, 1), repeat=3):
                counts[tuple(low + corner)] += np.where(corner, part, 1 - part).prod()
        np.testing.assert_allclose(row, np.sqrt(counts.ravel() / len(pixels)), atol=2e-4)


def test_where_colors_are_does_not_matter_and_which_they_are_does() -> None:
    image = drawn(1)
    order = torch.randperm(144, generator=torch.Generator().manual_seed(1))
    moved = image.flatten(2)[:, :, order].reshape(image.shape)
    white, black = torch.ones(1, 3, 12, 12), torch.zeros(1, 3, 12, 12)
    rows = ColorNetwork()(torch.cat([image, moved, white, black]))
    cosines = rows @ rows.T  # rows have length 1: the shares of an image's colors sum to 1
    torch.testing.assert_close(cosines.diagonal(), torch.ones(4))
    assert cosines[0, 1] == pytest.approx(1, abs=1e-6)
    assert cosines[2, 3] == 0


def test_a_small_change_of_color_moves_a_row_little() -> None:
    image = drawn(1) * 0.9
    one, other = ColorNetwork()(torch.cat([image, image + 1 / 255]))
    assert one @ other > 0.999


def test_rows_are_of_float32_whatever_the_precision() -> None:
    images = drawn(2)
    exact = ColorNetwork()(images)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rows = ColorNetwork()(images)
    assert rows.dtype == torch.float32
    torch.testing.assert_close(rows, exact, rtol=0, atol=1e-6)


def test_the_compiled_histogram_is_the_same() -> None:
    network = extractor()
    images = (drawn(2, 128).permute(0, 2, 3, 1) * 255).to(torch.uint8)
    torch.testing.assert_close(
        OpenVino(network, 128)(images), network(images), rtol=1e-4, atol=1e-4
    )


def test_color_moments_are_a_layer_too() -> None:
    options = Backbone(name="color", weights="none", layer="lab", pooling=Pooling.avg)
    prepare = transform(preset_of(options), Data())
    network = build_extractor(
        load_network(options, 0), [Output("lab", Pooling.avg)], options, prepare
    )
    (rows,) = network(torch.full((1, 128, 128, 3), 255, dtype=torch.uint8))
    torch.testing.assert_close(rows, torch.tensor([[100.0, 0, 0]]), rtol=0, atol=0.02)


def test_other_bins_would_have_a_cache_of_their_own() -> None:
    ranges = (
        f"{axis}* {low:g} to {high:g}"
        for axis, low, high in zip("Lab", LOWEST, HIGHEST, strict=True)
    )
    assert weights_id(COLOR, 0) == f"none ({BINS} bins of each of {', '.join(ranges)})"


@pytest.mark.parametrize("weights", ["random", "IMAGENET1K_V1"])
def test_it_has_no_weights(weights: str) -> None:
    with pytest.raises(UserError, match=rf"weights={weights}: .* has no weights: use backbone=col"):
        Backbone(name="color", weights=weights)

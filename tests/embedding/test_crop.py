"""A part of a picture, by percent."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from src.embedding.crop import WHOLE, Crop, parse_crop
from src.errors import UserError

HOSTILE = [
    *("nan,0,1,1", "0,0,0,10", "0,0,10", "0,0,10,10,10", "-1,0,10,10", "60,0,50,10", "0,99,1,2"),
    *("1e1,0,1,1", "inf,0,1,1", "0,0,101,1", " 0,0,1,1", "0,0,1,1\n", "٠,0,1,1", "9" * 4000),
    *("0,0,0.000001,5", "<script>", "0;0;1;1", "0,0,1.,1", "0x1,0,1,1"),
]


@pytest.mark.parametrize("text", HOSTILE)
def test_texts_that_name_no_part_are_refused_in_a_short_sentence(text: str) -> None:
    with pytest.raises(UserError, match="^crop must be left, top, width and height") as caught:
        parse_crop(text)
    assert len(str(caught.value)) < 200


def test_no_text_is_the_whole() -> None:
    assert parse_crop("") == parse_crop("0,0,100,100") == WHOLE
    image = Image.new("RGB", (3, 2))
    assert WHOLE.of(image) is image
    assert WHOLE.min_decode_size(lambda w, h: (w // 2, h // 2), 80, 60) == (40, 30)


@given(st.integers(0, 9999), st.integers(0, 9999), st.integers(1, 10000), st.integers(1, 10000))
def test_a_part_is_read_back_as_it_was_written(a: int, b: int, c: int, d: int) -> None:
    crop = Crop(a / 100, b / 100, min(c, 10000 - a) / 100, min(d, 10000 - b) / 100)
    assert parse_crop(str(crop)) == crop
    assert re.fullmatch(r"[\d.,]+", str(crop))


@given(st.integers(1, 40), st.integers(1, 40), st.data())
def test_a_part_has_the_pixels_that_it_touches(
    width: int, height: int, data: st.DataObject
) -> None:
    left, top = (data.draw(st.integers(0, 99)) for _ in range(2))
    crop = Crop(left, top, *(data.draw(st.integers(1, 100 - start)) for start in (left, top)))
    grid = np.arange(width * height, dtype=np.int32).reshape(height, width)
    part = np.asarray(crop.of(Image.fromarray(grid, "I")))
    touched = [
        [100 * (x + 1) > start * side and 100 * x < (start + length) * side for x in range(side)]
        for start, length, side in ((left, crop.width, width), (top, crop.height, height))
    ]
    np.testing.assert_array_equal(part, grid[np.ix_(touched[1], touched[0])])


def test_a_part_is_decoded_as_large_as_it_needs_upright_or_on_its_side() -> None:
    def of_whole(width: int, height: int) -> tuple[int, int]:
        return round(64 * width / min(width, height)), round(64 * height / min(width, height))

    assert Crop(0, 0, 10, 20).min_decode_size(of_whole, 4000, 2000) == (1280, 640)
    assert Crop(0, 0, 1, 1).min_decode_size(of_whole, 400, 200) == (400, 200)

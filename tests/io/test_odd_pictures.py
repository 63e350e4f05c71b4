"""Pictures of odd kinds made elsewhere: their rows are those of what they show."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from src.io.images import load_rgb
from tests.support.embedding import reference_row

CASES = Path(__file__).resolve().parents[3] / "shared" / "cases" / "odd_pictures.py"


@pytest.mark.skipif(not CASES.exists(), reason="the pictures lie outside of the project")
def test_rows_of_odd_pictures_are_those_of_what_they_show(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("odd_pictures", CASES)
    assert spec is not None and spec.loader is not None
    odd_pictures = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(odd_pictures)
    pictures = odd_pictures.pictures()
    assert pictures
    for name, body, shown in pictures:
        (tmp_path / name).write_bytes(body)
        row = reference_row(load_rgb(tmp_path / name, 10**6), 64)
        expected = reference_row(Image.fromarray(shown), 64)
        cosine = row @ expected / np.linalg.norm(row) / np.linalg.norm(expected)
        assert cosine >= 0.99, name

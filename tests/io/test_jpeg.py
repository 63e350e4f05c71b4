"""JPEG files that are cut off: whole without their end marker, or refused."""

import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from src.io.images import NO_END_MARKER, Unreadable, check_complete, load_with_remark

LIMIT = 1_000_000
Y, X = np.mgrid[0:90, 0:120]
PICTURE = np.stack([X * 2, Y * 2, (X + Y) % 32 * 8], -1).astype(np.uint8)
KINDS: dict[str, dict[str, object]] = {
    "baseline": {},
    "progressive": {"progressive": True},
    "optimized": {"optimize": True, "subsampling": 0},
    "restarts": {"restart_marker_rows": 1},
    "gray": {"mode": "L"},
    "progressive gray": {"mode": "L", "progressive": True},
    "press": {"mode": "CMYK"},
    "thumbnail": {"exif": b"Exif\0\0" + b"\xff\xd8\xff\xda\0\x0c\x03\1\0\2\0\3\0\0\x3f\0\xff\xd9"},
}


def encoded(kind: str) -> bytes:
    options = dict(KINDS[kind])
    image, body = Image.fromarray(PICTURE).convert(str(options.pop("mode", "RGB"))), io.BytesIO()
    image.save(body, "JPEG", quality=90, **options)
    return body.getvalue()


def load(path: Path, body: bytes, scale: int = 1) -> tuple[np.ndarray, str]:
    path.write_bytes(body)
    image, remark = load_with_remark(path, LIMIT, lambda w, h: (w // scale, h // scale))
    return np.asarray(image), remark


@pytest.mark.parametrize("scale", [1, 4])
@pytest.mark.parametrize("cut", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_without_its_end_marker_a_jpeg_is_whole(
    tmp_path: Path, kind: str, cut: int, scale: int
) -> None:
    body = encoded(kind)
    whole, remark = load(tmp_path / "a.jpg", body, scale)
    assert not remark
    repaired, remark = load(tmp_path / "a.jpg", body[:-cut], scale)
    assert remark == NO_END_MARKER
    assert (repaired == whole).all()
    with pytest.raises(Unreadable):  # a download is tried again instead
        check_complete(body[:-cut], LIMIT)


@pytest.mark.parametrize("kind", KINDS)
def test_a_jpeg_cut_anywhere_else_is_refused(tmp_path: Path, kind: str) -> None:
    body = encoded(kind)
    markers = [match.start() for match in re.finditer(b"\xff[\xd0-\xd7\xda\xc4]", body)]
    for end in {*range(600, len(body) - 4, 97), *markers, *(marker + 2 for marker in markers)}:
        with pytest.raises(Unreadable):
            load(tmp_path / "a.jpg", body[:end])


def test_a_scan_without_colors_is_refused(tmp_path: Path) -> None:
    """Cut off between the scans of a sequential JPEG whose components have one each."""
    image, body = Image.fromarray(PICTURE), io.BytesIO()
    image.save(body, "JPEG", quality=90, subsampling=0, progressive=True)
    scans = [match.start() for match in re.finditer(b"\xff\xda", body.getvalue())]
    assert len(scans) > 3
    for end in scans[1:]:
        with pytest.raises(Unreadable):
            load(tmp_path / "a.jpg", body.getvalue()[:end])


def test_where_data_may_be_replaced_nothing_is_repaired(tmp_path: Path) -> None:
    body = encoded("baseline")
    for damaged in (body[:-6] + bytes(4), body[:-40] + bytes(40)):
        with pytest.raises(Unreadable):
            load(tmp_path / "a.jpg", damaged)
    saved = io.BytesIO()
    Image.fromarray(PICTURE).save(saved, "JPEG", progressive=True, restart_marker_rows=1)
    with pytest.raises(Unreadable):
        load(tmp_path / "a.jpg", saved.getvalue()[:-2])

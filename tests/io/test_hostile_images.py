"""Hostile and odd files: each is embedded as its picture or skipped with a reason."""

import csv
import io
import os
import random
import re
import struct
import subprocess
import sys
import tempfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torchvision import transforms

from src.config import Backbone, Config, Trainer
from src.config.data import Folder
from src.config.enums import Accelerator, Resize
from src.embedding.cache import Embeddings
from src.embedding.dataset import CHANGED, PaintingsDataset
from src.embedding.transforms import Transform
from src.gallery import Gallery
from src.gallery.folder import folder_gallery
from src.io.images import MAX_METADATA_BYTES, MAX_SCANS, Unreadable, check_complete, load_rgb
from src.pipeline.embed import embed
from tests.bench.similarity import memory
from tests.io.test_images import STORED, huge
from tests.pipeline.test_embed import trunk
from tests.support.embedding import MEAN, STD

Maker = Callable[[Path, Image.Image], Image.Image | str]  # writes a file: its picture, or reason

MAX_PIXELS = 30_000_000
NO_IMAGE = "cannot identify image file"
FIFO = "not a regular file"
EXIF = b"Exif\0\0"
UNREADABLE_EXIF = {
    "no TIFF": EXIF + b"garbage, all of it",
    "cut off": EXIF + b"II*\0\x08\0\0\0\x05\0\x12\1\3\0\1\0",
    "beyond its end": EXIF + b"MM\0*\xff\xff\xff\0",
}

pytestmark = [
    # a thread ends what hangs in C as well, and says where; a signal waits for Python
    pytest.mark.timeout(300, method="thread"),
    # src.io.images ignores what PIL warns of, but pytest's filters come first; see the plain run
    pytest.mark.filterwarnings("ignore::UserWarning"),
    # Python 3.12 warns of any fork of a process that has threads
    pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning"),
]


def noise(name: str) -> Image.Image:
    """Return a noisy picture that depends on the name only."""
    draw = np.random.default_rng(zlib.crc32(os.fsencode(name)))
    pixels = draw.integers(0, 200, 3) + draw.integers(0, 56, (30, 40, 3))
    return Image.fromarray(pixels.astype(np.uint8))


def encoded(picture: Image.Image, format: str, **options: object) -> bytes:
    body = io.BytesIO()
    picture.save(body, format, **options)
    return body.getvalue()


def decoded(body: bytes, mode: str = "RGB") -> Image.Image:
    return Image.open(io.BytesIO(body)).convert(mode)


def file(
    format: str,
    mode: str = "RGB",
    change: Callable[[bytes], bytes] = bytes,
    reason: str | None = None,
    size: tuple[int, int] | None = None,
    **options: object,
) -> Maker:
    """A picture saved in a format, its bytes changed: the same pixels, else there is a reason."""

    def make(path: Path, picture: Image.Image) -> Image.Image | str:
        body = encoded(picture.resize(size or picture.size).convert(mode), format, **options)
        path.write_bytes(change(body))
        return reason or decoded(body)

    return make


def cut_off(share: float) -> Maker:
    """A JPEG of which only this share is there, its header at least."""
    return file(
        *("JPEG", "RGB", lambda body: body[: int(len(body) * share)], "image file is truncated"),
        size=(400, 300),
    )


def raw(body: bytes, reason: str = NO_IMAGE) -> Maker:
    return lambda path, _: [path.write_bytes(body), reason][1]


def link(target: str, reason: str) -> Maker:
    return lambda path, _: [path.symlink_to(target), reason][1]


def fifo(path: Path, _: Image.Image) -> str:
    os.mkfifo(path)
    return FIFO


def outside(path: Path, picture: Image.Image) -> Image.Image:
    target = path.parent.parent / "outside.png"
    picture.save(target)
    path.symlink_to(target)
    return picture


def within(path: Path, picture: Image.Image) -> Image.Image:
    path.parent.mkdir()
    picture.save(path)
    return picture


def animated(format: str, **options: object) -> Maker:
    """The first frame counts."""

    def make(path: Path, picture: Image.Image) -> Image.Image:
        first = picture.quantize(16).convert("RGB")
        others = [first.rotate(180), first.transpose(Image.Transpose.FLIP_LEFT_RIGHT)]
        first.save(path, format, save_all=True, append_images=others, **options)
        return first

    return make


def transparent(format: str, mode: str = "RGBA", **options: object) -> Maker:
    """Over white by the definition, with alpha from 0 to 255."""

    def make(path: Path, picture: Image.Image) -> Image.Image:
        picture.putalpha(Image.linear_gradient("L").resize(picture.size))
        stored = picture.convert("RGB").quantize(16) if mode == "P" else picture.convert(mode)
        body = encoded(stored, format, **options)
        path.write_bytes(body)
        pixels = np.asarray(decoded(body, "RGBA"), float)
        alpha = pixels[:, :, 3:] / 255
        return Image.fromarray(np.rint(pixels[:, :, :3] * alpha + 255 * (1 - alpha)).astype("u1"))

    return make


def turned(format: str, orientation: int) -> Maker:
    """The pixels as they are stored, brought back to their places one by one."""

    def make(path: Path, picture: Image.Image) -> Image.Image:
        exif = Image.Exif()
        exif[0x0112], exif[0x010F] = orientation, "camera"
        path.write_bytes(encoded(picture, format, exif=exif))
        pixels = np.asarray(decoded(encoded(picture, format)))
        size = picture.size if 4 < orientation < 9 else picture.size[::-1]
        places = STORED.get(orientation, STORED[1])(np.arange(40 * 30).reshape(size))
        upright = np.empty((*size, 3), np.uint8)
        upright.reshape(-1, 3)[places.ravel()] = pixels.reshape(-1, 3)
        return Image.fromarray(upright)

    return make


def scaled(format: str, factor: float, dtype: str) -> Maker:
    """Gray in numbers that are no bytes."""

    def make(path: Path, picture: Image.Image) -> Image.Image:
        gray = picture.convert("L")
        gray.putpixel((0, 0), 255)
        Image.fromarray((np.asarray(gray, float) * factor).astype(dtype)).save(path, format)
        return gray.convert("RGB")

    return make


def red_ink(change: Callable[[bytes], bytes] = bytes) -> Maker:
    """Red of magenta and yellow, exact in a JPEG too."""

    def make(path: Path, _: Image.Image) -> Image.Image:
        ink = Image.new("CMYK", (40, 30), (0, 255, 255, 0))
        path.write_bytes(change(encoded(ink, "JPEG", quality=100)))
        return Image.new("RGB", (40, 30), "red")

    return make


def without_adobe(body: bytes) -> bytes:
    at = body.index(b"\xff\xee")
    return body[:at] + body[at + 16 :]


def chunk(kind: bytes, data: bytes) -> bytes:
    crc = struct.pack(">I", zlib.crc32(kind + data))
    return struct.pack(">I", len(data)) + kind + data + crc


def with_chunk(kind: bytes, data: bytes, png: bytes) -> bytes:
    """After the header, which is 33 bytes long."""
    return png[:33] + chunk(kind, data) + png[33:]


def bad_crc(kind: bytes, png: bytes) -> bytes:
    """Of the first chunk of that kind."""
    at = png.index(kind)
    end = at + 4 + int.from_bytes(png[at - 4 : at])
    return png[:end] + b"\0\0\0\0" + png[end + 4 :]


def bad_data(png: bytes) -> bytes:
    return png[:1000] + bytes([png[1000] ^ 255]) + png[1001:]


def more_scans(body: bytes) -> bytes:
    """The last scan of a JPEG over and over."""
    return body[:-2] + body[body.rindex(b"\xff\xda") : -2] * (MAX_SCANS + 1) + body[-2:]


def arithmetic(body: bytes) -> bytes:
    """A JPEG that says that its coding is another, in which a scan needs no bytes at all."""
    return more_scans(body).replace(b"\xff\xc0", b"\xff\xc9")


def tiff(*changed: tuple[int, int, int, int], data: bytes = bytes(2000)) -> bytes:
    """A gray TIFF of 40 x 30 with these tags, type, count, value; data starts at byte 500."""
    shorts = {256: 40, 257: 30, 258: 8, 259: 1, 262: 1, 277: 1, 278: 30}
    tags = {tag: [3, 1, value] for tag, value in shorts.items()}
    tags |= {273: [4, 1, 500], 279: [4, 1, 1200]} | {tag: facts for tag, *facts in changed}
    entries = b"".join(struct.pack("<HHLL", tag, *facts) for tag, facts in sorted(tags.items()))
    head = b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries + struct.pack("<L", 8)
    return head.ljust(500, b"\0") + data


def endless(path: Path, picture: Image.Image) -> Image.Image:
    """A page whose next one is itself."""
    gray = picture.convert("L")
    path.write_bytes(tiff(data=gray.tobytes()))
    return gray.convert("RGB")


def gif(screen: tuple[int, int], frame: tuple[int, int]) -> bytes:
    head = b"GIF89a" + struct.pack("<HHBBB", *screen, 0x80, 0, 0) + bytes(6)
    return head + b"," + struct.pack("<HHHHB", 0, 0, *frame, 0) + b"\2\2\x44\1\0;"


BOMB = zlib.compress(bytes(20_000_000))
LONG = "n" * 246 + ".png"
KINDS: dict[str, Maker] = {
    **{f"cut off at {tenth}0%.jpg": cut_off(tenth / 10) for tenth in range(1, 10)},
    **{f"orientation {value}.jpg": turned("JPEG", value) for value in range(10)},
    **{f"orientation {value}.tif": turned("TIFF", value) for value in (3, 6)},
    **{
        f"EXIF {how}.{format}": file(format, exif=exif)
        for how, exif in UNREADABLE_EXIF.items()
        for format in ("jpeg", "png", "webp")
    },
    **{
        f"broken ICC.{format}": file(format, icc_profile=b"no")
        for format in ("jpeg", "png", "webp")
    },
    "zero bytes.jpg": raw(b""),
    "html.jpg": raw(b"<!DOCTYPE html><title>404 Not Found</title>"),
    "zeros.jpg": raw(bytes(5000)),
    "random.jpg": raw(np.random.default_rng(0).bytes(5000)),
    "is a png.jpg": file("PNG"),
    "is a jpeg.png": file("JPEG"),
    "with more behind it.jpg": file("JPEG", change=lambda body: body + b"\xff\xda\0" * 999),
    "progressive.jpg": file("JPEG", progressive=True),
    "scans.jpg": file("JPEG", "L", more_scans, "scans of all pixels", progressive=True),
    "scans without bytes.jpg": file("JPEG", "L", arithmetic, "scans of all pixels"),
    "large EXIF.jpg": file("JPEG", exif=EXIF + b"II*\0\x08\0\0\0\0\0\0\0\0\0" + bytes(65_000)),
    "gray.jpg": file("JPEG", "L"),
    "two pictures.jpg": file("MPO", save_all=True, append_images=[Image.new("RGB", (9, 9))]),
    "cmyk.jpg": red_ink(),
    "cmyk without Adobe.jpg": red_ink(without_adobe),
    "one pixel.png": file("PNG", size=(1, 1)),
    "tall.png": file("PNG", size=(1, 20_000)),
    "wide.png": file("PNG", size=(20_000, 1)),
    "bomb.png": lambda path, _: (
        huge(path, 20_000) and f"400000000 pixels, more than data.max_pixels={MAX_PIXELS}"
    ),
    "16 bits.png": scaled("PNG", 257, "u2"),
    "palette.png": file("PNG", "P"),
    "palette with a clear color.png": transparent("PNG", "P", transparency=3),
    "palette with alpha.png": transparent("PNG", "P", transparency=bytes(range(0, 160, 10))),
    "alpha.png": transparent("PNG"),
    "gray with alpha.png": transparent("PNG", "LA"),
    "apng.png": animated("PNG"),
    "no header CRC.png": file("PNG", "RGB", partial(bad_crc, b"IHDR"), "cannot identify|broken"),
    "no data CRC.png": file("PNG", change=partial(bad_crc, b"IDAT")),
    "bad data.png": file("PNG", "RGB", bad_data, "broken data stream"),
    "cut off.png": file("PNG", "RGB", lambda body: body[:-500], "truncated"),
    "text bomb.png": file("PNG", "RGB", partial(with_chunk, b"zTXt", b"a\0\0" + BOMB), "too large"),
    "ICC bomb.png": file("PNG", "RGB", partial(with_chunk, b"iCCP", b"a\0\0" + BOMB), "too large"),
    "pixel bomb.png": file(
        "PNG", change=lambda body: body[:-12] + chunk(b"IDAT", BOMB) + body[-12:]
    ),
    "much text.png": file("PNG", change=partial(with_chunk, b"tEXt", b"a\0" + b"b" * 3_000_000)),
    "16 bits.tif": scaled("TIFF", 257, "u2"),
    "float.tif": scaled("TIFF", 1 / 255, "f4"),
    "1 bit.tif": file("TIFF", "1"),
    "fax.tif": file("TIFF", "1", compression="group4"),
    "pages.tif": animated("TIFF"),
    "endless pages.tif": endless,
    "a tile larger than all.tif": raw(
        tiff((259, 3, 1, 8), (322, 4, 1, 30_000), (323, 4, 1, 30_000), (324, 4, 1, 500)),
        "a tile of",
    ),
    "a tile's size is text.tif": raw(tiff((322, 2, 2, 57), (323, 4, 1, 2**32 - 1)), "a tile of"),
    "strips on strips.tif": raw(
        tiff((278, 3, 1, 29), (273, 4, 500, 500), (279, 4, 500, 500)),
        "overlap many times",
    ),
    "lossy.webp": file("WEBP"),
    "lossless.webp": file("WEBP", lossless=True),
    "alpha.webp": transparent("WEBP", lossless=True),
    "animated.webp": animated("WEBP", lossless=True),
    "cut off.webp": file("WEBP", "RGB", lambda body: body[:-50], "could not create decoder"),
    "animated.gif": animated("GIF"),
    "huge screen.gif": raw(gif((60_000, 60_000), (1, 1)), "3600000000 pixels"),
    "frame beyond the screen.gif": raw(gif((10, 10), (60_000, 60_000)), "3600000000 pixels"),
    "plain.bmp": file("BMP"),
    "plain.avif": file("AVIF"),
    "plain.jp2": file("JPEG2000"),
    "plain.ppm": file("PPM"),
    "plain.tga": file("TGA"),
    **{
        f"is {format}.jpg": file(format, reason=NO_IMAGE)
        for format in ("EPS", "ICO", "ICNS", "PCX", "DDS", "SGI")
    },
    "is PSD.jpg": raw(b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, 1, 1, 8, 3) + bytes(20)),
    "outside.png": outside,
    "dangling.jpg": link("nothing.jpg", "No such file"),
    "loop.jpg": link("loop.jpg", "Too many levels of symbolic links"),
    "device.jpg": link("/dev/zero", FIFO),
    "fifo.jpg": fifo,
    "directory.jpg/within.png": within,
    "line\nbreak.png": file("PNG"),
    "\"quotes\", 'and', commas.png": file("PNG"),
    os.fsdecode(b"caf\xe9.png"): file("PNG"),
    os.fsdecode(b"caf\xe9, no image.png"): raw(b""),
    LONG: file("PNG"),
}


def vanish(path: Path, _: Image.Image) -> str:
    path.unlink()
    return "No such file"


def become(maker: Maker) -> Maker:
    """Another thing of the same name."""
    return lambda path, picture: [path.unlink(), maker(path, picture)][1]


LATER: dict[str, Maker] = {  # done between listing and reading
    "vanishes.png": vanish,
    "becomes another.png": become(lambda path, image: [file("PNG")(path, image), CHANGED][1]),
    "becomes html.png": become(raw(b"<html>")),
    "becomes a folder.png": become(lambda path, _: [path.mkdir(), FIFO][1]),
    "becomes a pipe.png": become(fifo),
}


@dataclass(frozen=True)
class Outcome:
    """A gallery of all kinds of files, and the result of embedding it."""

    gallery: Gallery
    expected: dict[str, Image.Image | str]
    made: Embeddings
    skipped: dict[str, str]


def options(images: Path, outputs: Path) -> Config:
    return Config(
        data=Folder(images=str(images), batch_size=7, workers=2, max_pixels=MAX_PIXELS),
        backbone=Backbone(name="resnet18", weights="random", layer="layer1", layers=[]),
        trainer=Trainer(accelerator=Accelerator.cpu),
        outputs=str(outputs),
    )


def embedded(images: Path, outputs: Path, later: dict[str, Maker]) -> Outcome:
    gallery = folder_gallery(images, None, None, 0, outputs)
    expected = {name: make(images / name, noise(name)) for name, make in later.items()}
    made = embed(gallery, options(images, outputs))
    with (made.folder / "skipped.csv").open(
        encoding="utf-8", errors="surrogateescape", newline=""
    ) as lines:
        skipped = dict(list(csv.reader(lines))[1:])
    return Outcome(gallery, expected, made, skipped)


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    folder = tmp_path_factory.mktemp("hostile")
    images = folder / "images"
    images.mkdir()
    expected = {name: make(images / name, noise(name)) for name, make in KINDS.items()}
    (images / "link to a folder.jpg").symlink_to("directory.jpg")  # not followed
    for name in LATER:
        noise("before").save(images / name)
    result = embedded(images, folder / "outputs", LATER)
    result.expected.update(expected)
    return result


def row(picture: Image.Image) -> np.ndarray:
    """Mean layer1 of torchvision's network."""
    steps = [transforms.Resize((224, 224)), transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
    with torch.inference_mode():
        return trunk()(transforms.Compose(steps)(picture)[None]).mean((2, 3))[0].numpy()


@pytest.mark.parametrize("name", [*KINDS, *LATER])
def test_each_file_is_embedded_or_skipped_with_a_reason(outcome: Outcome, name: str) -> None:
    expected = outcome.expected[name]
    if isinstance(expected, str):
        assert re.search(expected, outcome.skipped[name])
        return
    assert name not in outcome.skipped
    at = outcome.made.gallery.files.index(name)
    np.testing.assert_allclose(outcome.made.features[at], row(expected), rtol=1e-5, atol=1e-5)
    if name in KINDS:
        work = outcome.made.gallery.works.iloc[at]
        assert (work["width"], work["height"]) == tuple(map(str, expected.size))


def test_every_file_is_a_row_or_a_line_and_the_order_stays(outcome: Outcome) -> None:
    assert outcome.gallery.files == sorted([*KINDS, *LATER])
    rows = [file for file in outcome.gallery.files if file not in outcome.skipped]
    assert len(rows) + len(outcome.skipped) == len(outcome.gallery)
    assert outcome.made.gallery.files == rows
    assert np.load(outcome.made.folder / "image_names.npy").tolist() == rows
    assert np.load(outcome.made.folder / "features.npy").shape == (len(rows), 64)


PLAIN = """
import sys
from pathlib import Path
from src.io.images import Unreadable, load_rgb, pixel_size
for name in sys.argv[2:]:
    pixel_size(Path(name))
    try:
        load_rgb(Path(name), int(sys.argv[1]))
    except Unreadable as reason:
        assert str(reason) and "\\n" not in str(reason)
    print(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
"""


def plain_run(paths: list[Path], max_pixels: int) -> list[int]:
    """The most memory in bytes till after each file, in a process that reads nothing else.

    Where anything warns, an error says so.
    """
    if not Path("/proc/self/status").exists():
        pytest.skip("only Linux tells the most memory")
    command = [sys.executable, "-W", "error", "-c", PLAIN, str(max_pixels), *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
    return [1024 * int(line) for line in done.stdout.split()]


def test_a_plain_run_warns_of_nothing_and_takes_little_memory(outcome: Outcome) -> None:
    files = [outcome.gallery.root / file for file in outcome.gallery.files]
    assert plain_run(files, MAX_PIXELS)[-1] < 2e8  # the bomb alone would take twice as much


def test_a_file_too_large_for_the_limit_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "sparse.webp"  # Pillow would read all of it into memory, twice
    path.write_bytes(encoded(noise("a"), "WEBP"))
    os.truncate(path, MAX_METADATA_BYTES + 8 * 1200)
    assert load_rgb(path, 1200).size == (40, 30)
    os.truncate(path, MAX_METADATA_BYTES + 8 * 1200 + 1)
    with pytest.raises(Unreadable, match="67118465 bytes, too many for data.max_pixels=1200"):
        load_rgb(path, 1200)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to drop privileges; else see test_images.py")
def test_a_file_without_permission_is_skipped_even_where_root_runs_the_tests() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.png")
        noise("a").save(path)
        path.chmod(0)
        os.chmod(folder, 0o755)
        os.seteuid(65_534)
        try:
            with pytest.raises(Unreadable, match="PermissionError: .*: 'a.png'"):
                load_rgb(path, MAX_PIXELS)
        finally:
            os.seteuid(0)


def test_a_file_may_be_truncated_while_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"  # Pillow would map it into memory, and die there of SIGBUS
    noise("a").convert("L").resize((400, 300)).save(path)
    shorten = "images._orientation = lambda image: os.truncate(sys.argv[1], 500)"
    read = "images.load_rgb(Path(sys.argv[1]), 10**6)"
    start = "import os, sys; from pathlib import Path; from src.io import images"
    command = [sys.executable, "-c", f"{start}; {shorten}; {read}", str(path)]
    assert subprocess.run(command, timeout=300).returncode == 0
    assert path.stat().st_size == 500


@pytest.mark.parametrize("orientation", [1, 6])
def test_the_size_of_a_fetched_tiff_is_that_of_the_upright_picture(
    tmp_path: Path, orientation: int
) -> None:
    upright = turned("TIFF", orientation)(tmp_path / "a.tif", noise("a"))
    assert check_complete((tmp_path / "a.tif").read_bytes(), MAX_PIXELS) == upright.size


SQUARE = 2000  # pixels
COSTLIEST: dict[str, tuple[int, Maker]] = {  # bytes a pixel, with the file that Pillow holds
    "16 bits.png": (12, scaled("PNG", 257, "u2")),
    "float.tif": (17, scaled("TIFF", 1 / 255, "f4")),
    "alpha.png": (10, file("PNG", "RGBA", compress_level=1)),
    "palette.png": (10, file("PNG", "P", transparency=3)),
    "progressive.jpg": (12, file("JPEG", progressive=True, subsampling=0)),
    "progressive cmyk.jpg": (14, file("JPEG", "CMYK", progressive=True)),
    "lossless.webp": (22, file("WEBP", "RGBA", lossless=True, method=0, quality=0)),
    "alpha.jp2": (26, file("JPEG2000", "RGBA")),
}


@pytest.mark.parametrize("name", COSTLIEST)
def test_a_picture_of_max_pixels_takes_few_bytes_a_pixel(tmp_path: Path, name: str) -> None:
    most, make = COSTLIEST[name]
    noise("small").save(tmp_path / f"small{Path(name).suffix}")
    make(tmp_path / name, noise(name).resize((SQUARE, SQUARE)))
    small, large = plain_run(sorted(tmp_path.iterdir(), key=os.path.getsize), SQUARE**2)
    assert 4 < (large - small) / SQUARE**2 < most


def jpegs() -> list[bytes]:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "camera"
    picture = noise("jpeg")
    return [
        encoded(picture.resize(size).convert(mode), "JPEG", progressive=progressive, exif=exif)
        for size in ((16, 16), (200, 150), (33, 400))
        for mode in ("RGB", "L", "CMYK")
        for progressive in (False, True)
    ]


def mutations(count: int, seed: int) -> Iterator[bytes]:
    """JPEGs with bytes changed, cut off, or spliced from two; half of the places in the header."""
    draw, whole = random.Random(seed), jpegs()
    for number in range(count):
        body = bytearray(draw.choice(whole))
        at = draw.randrange(draw.choice((len(body), 200)))
        match number % 4:
            case 0:
                body[at] = draw.randrange(256)
            case 1:
                for _ in range(16):
                    body[draw.randrange(len(body))] = draw.randrange(256)
            case 2:
                del body[at:]
            case 3:
                other = draw.choice(whole)
                body[at:] = other[draw.randrange(len(other)) :]
        yield bytes(body)


def test_mutated_jpegs_are_read_or_skipped_with_a_reason(tmp_path: Path) -> None:
    gallery = Gallery("mutated", tmp_path, pd.DataFrame({"file": ["a.jpg"], "sha256": [""]}))
    square = Transform(Resize.squash, 32, 36, None, MEAN, STD)
    images = PaintingsDataset(gallery, square, max_pixels=1_000_000)
    counts, before = Counter[str](), memory("VmHWM")
    for body in mutations(2000, seed=0):
        (tmp_path / "a.jpg").write_bytes(body)
        _, result = images[0]
        if isinstance(result, str):
            assert re.fullmatch(r"[^\n]{10,200}", result)
        else:
            assert (result.shape, result.dtype) == ((32, 32, 3), np.uint8)
        counts[type(result).__name__] += 1
    assert counts.total() == 2000
    assert min(counts["str"], counts["ndarray"]) > 400
    assert memory("VmHWM") - before < 0.1  # GB


def test_mutated_jpegs_shift_no_row(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for number, body in enumerate(mutations(300, seed=1)):
        (tmp_path / f"images/{number:03}.jpg").write_bytes(body)
    outcome = embedded(tmp_path / "images", tmp_path / "outputs", {})
    assert len(outcome.made.gallery) + len(outcome.skipped) == 300
    assert min(len(outcome.made.gallery), len(outcome.skipped)) > 60
    for at, name in enumerate(outcome.made.gallery.files):
        assert name not in outcome.skipped
        if at % 10 == 0:
            picture = load_rgb(tmp_path / "images" / name, MAX_PIXELS)
            np.testing.assert_allclose(
                outcome.made.features[at], row(picture), rtol=1e-5, atol=1e-5
            )

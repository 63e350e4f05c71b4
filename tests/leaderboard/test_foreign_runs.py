"""Runs that others made, damaged or hostile: named as such, and the other runs are compared."""

import io
import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from src.leaderboard.__main__ import main
from src.leaderboard.comparison import numbers
from src.leaderboard.runs import Run, read_runs
from tests.support.made_runs import N, random_neighbors, update_metrics, write_run

BILLION = "\n".join(
    [f"a0: &a0 [{','.join('1' * 9)}]"]
    + [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
)
DEEP = {"json": "[" * 500_000, "yaml": "a: " + "[" * 500_000, "maps": "{a: " * 100_000}
CONFIG, OVERRIDES = Path(".hydra", "config.yaml"), Path(".hydra", "overrides.yaml")


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """Return a folder with two finished runs, 0 and 1."""
    draw = np.random.default_rng(0)
    for name in ("0", "1"):
        write_run(tmp_path / name, draw.random(N), random_neighbors(draw))
    return tmp_path


def compared(sweep: Path, capsys: pytest.CaptureFixture) -> tuple[Run, str]:
    """Compare; return the damaged run 1, and what was printed. Run 0 is still compared."""
    assert main([str(sweep)]) == 1
    good, bad = read_runs([sweep])
    assert (good.error, good.folder.name, bad.folder.name) == ("", "0", "1")
    printed = capsys.readouterr()
    assert printed.err == ""
    assert f"1: {bad.error}" in printed.out
    assert "1 run by artist/map_at_10" in printed.out
    return bad, printed.out


def npz(**arrays: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def claiming(shape: tuple[int, ...]) -> bytes:
    """Return a .npz file whose arrays say that they have a shape."""
    header, file = io.BytesIO(), io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<i4", "fortran_order": False, "shape": shape}
    )
    with zipfile.ZipFile(file, "w") as archive:
        for name in ("index.npy", "score.npy"):
            archive.writestr(name, header.getvalue())
    return file.getvalue()


def bomb() -> bytes:
    """Return a .npz file of 20 kB that holds 20 MB; a hundred times that is as easily made."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("index.npy", "score.npy"):
            part = io.BytesIO()
            np.save(part, np.zeros((10_000, 500), np.int32))
            archive.writestr(name, part.getvalue())
    return file.getvalue()


def vast_directory() -> bytes:
    """Return a .npz file whose end says that its list of arrays has 4 GB."""
    content = bytearray(npz(index=np.zeros((2, 1), np.int32)))
    content[-10:-6] = b"\xfe\xff\xff\xff"
    return bytes(content)


INDEX, SCORE = np.zeros((N, 4), np.int32), np.zeros((N, 4), np.float32)
DAMAGE: dict[str, tuple[str | Path, str | bytes]] = {
    "metrics: deep": ("metrics.json", DEEP["json"]),
    "metrics: vast": ("metrics.json", "1" * 5_000_000),
    "metrics: cut off": ("metrics.json", '{"images": 5, "int'),
    "metrics: a list": ("metrics.json", "[1, 2]"),
    "metrics: no UTF-8": ("metrics.json", b'{"\xff\xfe": 1}'),
    "metrics: a text for a number": ("metrics.json", '{"images": 5, "artist/map_at_10": "1"}'),
    "metrics: nested": ("metrics.json", '{"images": 5, "intra": {"a": 1}}'),
    "metrics: no images": ("metrics.json", '{"intra": 0.5}'),
    "metrics: more images": ("metrics.json", f'{{"images": {N + 1}, "intra": 0.5}}'),
    "metrics: images is true": ("metrics.json", '{"images": true, "intra": 0.5}'),
    "metrics: true": ("metrics.json", f'{{"images": {N}, "artist/map_at_10": true}}'),
    "metrics: no chance": ("metrics.json", f'{{"images": {N}, "a/map_at_10_chance": false}}'),
    "metrics: a huge number": ("metrics.json", '{"images": 1, "intra": 1' + "0" * 400 + "}"),
    "metrics: a longer number": ("metrics.json", '{"images": 1, "intra": 1' + "0" * 9000 + "}"),
    "metrics: half a letter": ("metrics.json", f'{{"images": {N}, "\\ud800/map_at_10": 0.5}}'),
    "metrics: half a text": ("metrics.json", f'{{"images": {N}, "device": "\\udce9"}}'),
    "config: aliases": (CONFIG, BILLION),
    "config: deep": (CONFIG, DEEP["yaml"]),
    "config: deep mappings": (CONFIG, DEEP["maps"]),
    "config: many": (CONFIG, "[" + "1," * 1_000_000 + "]"),
    "config: a list": (CONFIG, "[1, 2]"),
    "config: numbers for names": (CONFIG, "backbone: {1: 2}"),
    "config: objects": (CONFIG, "a: !!python/object/apply:os.system [exit]"),
    "config: no date": (CONFIG, "a: 2026-99-99"),
    "config: a number of 9000 digits": (CONFIG, "a: 0" + "7" * 9000),
    "config: merged": (CONFIG, "<<: 1"),
    "config: no UTF-8": (CONFIG, b"a: \xff\xfe"),
    "config: NUL": (CONFIG, b"a: \0"),
    "overrides: a mapping": (OVERRIDES, "a: b"),
    "overrides: numbers": (OVERRIDES, "[1, 2]"),
    "paths: a list": ("paths.yaml", "[1, 2]"),
    "paths: a number": ("paths.yaml", "{gallery: 5}"),
    "paths: no gallery": ("paths.yaml", "{images: '01'}"),
    "paths: empty": ("paths.yaml", ""),
    "paths: NUL": ("paths.yaml", '{gallery: "a\\0b"}'),
    "paths: NUL of embeddings": ("paths.yaml", '{gallery: a, embeddings: "a\\0b"}'),
    "paths: half a letter": ("paths.yaml", '{gallery: "a\\ud800b"}'),
    "paths: labels": ("paths.yaml", "{gallery: g, labels: [a]}"),
    "neighbors: empty": ("neighbors.npz", b""),
    "neighbors: no zip": ("neighbors.npz", b"x" * 1000),
    "neighbors: cut off": ("neighbors.npz", npz(index=INDEX, score=SCORE)[:-300]),
    "neighbors: vast": ("neighbors.npz", claiming((2**40, 2**20))),
    "neighbors: negative": ("neighbors.npz", claiming((-1, -1))),
    "neighbors: a bomb": ("neighbors.npz", bomb()),
    "neighbors: a vast list": ("neighbors.npz", vast_directory()),
    "neighbors: objects": ("neighbors.npz", npz(index=np.array([{}]), score=SCORE)),
    "neighbors: no scores": ("neighbors.npz", npz(index=INDEX)),
    "neighbors: another shape": ("neighbors.npz", npz(index=INDEX, score=SCORE[:, :1])),
    "neighbors: no rows": ("neighbors.npz", npz(index=INDEX + N, score=SCORE)),
    "neighbors: negative rows": ("neighbors.npz", npz(index=INDEX - 1, score=SCORE)),
    "neighbors: texts": ("neighbors.npz", npz(index=INDEX.astype("U"), score=SCORE)),
    "neighbors: none": ("neighbors.npz", npz(index=INDEX[:0], score=SCORE[:0])),
    "neighbors: one axis": ("neighbors.npz", npz(index=INDEX[0], score=SCORE[0])),
    "queries: too few": ("queries.npz", npz(**{"artist/map_at_10": np.zeros(N - 1)})),
    "queries: no zip": ("queries.npz", b"PK\3\4" * 99),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_file_is_named_and_the_other_runs_are_compared(
    name: str, sweep: Path, capsys: pytest.CaptureFixture
) -> None:
    file, content = DAMAGE[name]
    data = content.encode() if isinstance(content, str) else content
    (sweep / "1" / file).write_bytes(data)
    bad, printed = compared(sweep, capsys)
    expected = "not a finished run" if name == "paths: empty" else f"{file} is damaged"
    assert expected in bad.error
    assert "\n" not in bad.error
    assert "# no command for 1: it is damaged" in printed


def test_paths_may_hold_bytes_that_are_not_utf8(sweep: Path) -> None:
    for name in ("0", "1"):
        (sweep / name / "paths.yaml").write_text('{gallery: "caf\\udce9", images: "01"}')
    assert main([str(sweep)]) == 0
    assert read_runs([sweep])[1].images() == ("caf\udce9", "01")


@pytest.mark.timeout(60)
@pytest.mark.parametrize("file", ["metrics.json", "queries.npz", "paths.yaml", CONFIG, "x.log"])
def test_pipes_are_not_waited_for(file: Path, sweep: Path, capsys: pytest.CaptureFixture) -> None:
    (sweep / "1" / file).unlink(missing_ok=True)
    os.mkfifo(sweep / "1" / file)
    (sweep / "1" / "metrics.json").unlink() if file == "x.log" else None
    assert len(compared(sweep, capsys)) > 0


@pytest.mark.parametrize("file", ["queries.npz", "neighbors.npz", "paths.yaml"])
def test_a_missing_file_is_named(file: str, sweep: Path, capsys: pytest.CaptureFixture) -> None:
    (sweep / "1" / file).unlink()
    assert file in compared(sweep, capsys)[0].error


def test_numbers_that_are_not_finite_are_missing(sweep: Path) -> None:
    path = sweep / "1" / "metrics.json"
    metrics = json.loads(path.read_text()) | {"artist/map_at_10": float("nan")}
    path.write_text(json.dumps(metrics | {"intra": float("inf")}))
    assert main([str(sweep)]) == 0
    assert not {"intra", "artist/map_at_10"} & read_runs([sweep])[1].metrics.keys()


def test_what_is_true_is_no_metric_to_sort_by(sweep: Path) -> None:
    update_metrics(sweep / "1", intra=True)
    assert numbers(read_runs([sweep / "1"])) == [
        *("images", "inter", "artist/map_at_10", "artist/map_at_10_low", "artist/map_at_10_high")
    ]


def test_runs_that_claim_the_same_images_but_have_fewer_are_not_mixed(sweep: Path) -> None:
    update_metrics(sweep / "1", images=5)
    (sweep / "1" / "neighbors.npz").write_bytes(npz(index=INDEX[:5] // N, score=SCORE[:5]))
    (sweep / "1" / "queries.npz").write_bytes(npz(**{"artist/map_at_10": np.zeros(5)}))
    assert main([str(sweep)]) == 0


def test_of_a_vast_log_the_end_is_read(sweep: Path) -> None:
    (sweep / "1" / "metrics.json").unlink()
    with (sweep / "1" / "run.log").open("wb") as log:
        log.truncate(2**40)  # takes no space
        log.seek(0, 2)
        log.write(b"\n[2026-11-25 10:00:31,562][src.cli.app][ERROR] - error: the disk is full\n")
    assert read_runs([sweep])[1].error == "the disk is full"


def test_loops_of_links_and_deep_folders_end(sweep: Path) -> None:
    (sweep / "loop").symlink_to(sweep)
    (sweep / "1" / "self").symlink_to("self")
    (sweep / "/".join("d" * 200)).mkdir(parents=True)
    assert len(read_runs([sweep])) == 2

"""results.json of each kind of run: its numbers, and what it does not tell."""

import hashlib
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from torchvision import models

import src
from src.config import Backbone, Config
from src.embedding.presets import cached_preset, weights_file
from src.errors import UserError
from src.gallery.judgements import Verdict
from src.reporting.citable import citable_options, citable_overrides
from src.reporting.results import metric_groups, run_results
from src.reporting.run_folder import RunFolder
from src.reporting.settings import PRIVATE, flat_options
from src.run import run
from tests.support.commands import command
from tests.support.options import changed
from tests.support.ranked_run import clustered, works_of, write_ranked_run
from tests.support.results import checked_results


@pytest.mark.parametrize(
    "similarity",
    [{}, {"ranking": "csls"}, {"postprocess": "whiten"}, {"augment": 3}, {"storage": "full"}],
    ids=str,
)
def test_results_of_each_ranking_fit_the_schema(similarity: dict[str, Any], tmp_path: Path) -> None:
    results = checked_results(write_ranked_run(tmp_path, **similarity))
    assert {"artist", "style-no_same_artist", "style"} <= set(results["metrics"]["labels"])
    assert results["metrics"]["objects"]["recall_at_k"]["resampled"] == "classes"
    settings = {f"similarity.{name}": value for name, value in similarity.items()}
    assert results["settings"].items() >= settings.items()


def test_results_without_labels_fit_the_schema(tmp_path: Path) -> None:
    works = works_of(60).drop(columns=["artist", "style", "object_id"])
    results = checked_results(write_ranked_run(tmp_path, works))
    assert results["metrics"]["labels"] == results["metrics"]["objects"] == {}
    assert results["inputs"]["labels"] == {}


def test_results_of_judged_pairs_fit_the_schema(tmp_path: Path) -> None:
    pairs = [(0, 6, True), (0, 1, False), (3, 9, True), (3, 4, False)]
    verdicts = [Verdict(f"{i:03d}.png", f"{j:03d}.png", "", good) for i, j, good in pairs]
    results = checked_results(write_ranked_run(tmp_path, verdicts=verdicts))
    judged = results["metrics"]["judged"]
    assert judged["pairs"]["value"] == 4 and judged["agreement"]["queries"] == 2
    assert results["inputs"]["judgements"]


def test_results_of_own_vectors_fit_the_schema(tmp_path: Path) -> None:
    path = tmp_path / "vectors.npy"
    np.save(path, clustered())
    words = ["data=features", f"data.features={path}", f"outputs={tmp_path / 'out'}"]
    assert command("src.run", *words, "tracking=off").returncode == 0
    (run,) = tmp_path.glob("out/runs/*/*")
    results, digest = checked_results(run), hashlib.sha256(path.read_bytes()).hexdigest()
    assert results["inputs"]["source"] == "features"
    assert results["inputs"]["vectors"] == digest
    assert results["inputs"]["weights"] == {"name": "own vectors"}
    assert results["settings"]["data.features"] == "vectors.npy"


@pytest.mark.slow
def test_results_of_the_jobs_of_a_sweep_fit_the_schema(paintings: Path, tmp_path: Path) -> None:
    words = ["-m", "evaluation.resample=query,class", "evaluation.halves=true", "tracking=off"]
    words += ["data=folder", f"data.images={paintings}", f"outputs={tmp_path / 'out'}"]
    words += ["backbone.name=resnet18", "backbone.weights=random", "backbone.layer=25%"]
    words += ["similarity.top_k=3", "evaluation.resamples=20", "download.contact=me@museum.org"]
    assert command("src.run", *words).returncode == 0
    (sweep,) = tmp_path.glob("out/sweeps/*/*")
    for job, unit in enumerate(("queries", "classes")):
        results = checked_results(sweep / str(job))
        name = sweep.relative_to(tmp_path / "out").as_posix()
        assert results["run"]["sweep"] == {"name": name, "job": f"{job}"}
        assert results["run"]["name"] == f"{name}/{job}"
        assert {"data.images=paintings", "outputs=out"} <= {*results["run"]["overrides"]}
        assert results["settings"]["backbone.layer"] == "layer1"  # by its name
        metric = results["metrics"]["labels"]["folder"]["map_at_10"]
        assert (metric["resampled"], metric["macro"]["resampled"]) == (unit, "classes")
        text = json.dumps(results)
        assert str(tmp_path) not in text and "me@museum.org" not in text


def test_a_run_tells_what_was_compared_with_what(finished_run: Path) -> None:
    results, run = checked_results(finished_run), RunFolder(finished_run)
    assert run.results() == results
    gallery = run.gallery()
    assert results["inputs"] == {
        "source": "folder",
        "gallery": gallery.name,
        "images": gallery.fingerprint(),
        "labels": gallery.label_fingerprints(),
        "weights": {"name": "random (seed 0)"},
    }
    assert results["run"]["name"] == "runs/2026-01-01/12-00-00-000000"
    assert results["run"]["sweep"] is None
    assert results["versions"]["torch"] == version("torch")
    assert results["versions"]["painting-similarity"] == src.__version__
    assert results["hardware"]["cuda"] is None or torch.cuda.is_initialized()
    assert results["counts"]["images"] == 12


def test_all_options_but_the_private_ones_are_settings(cfg: Config, finished_run: Path) -> None:
    settings = checked_results(finished_run)["settings"]
    assert set(settings) == set(flat_options(cfg)) - set(PRIVATE)
    assert settings["data.images"] == "paintings"  # not the folders that it is in
    assert settings["backbone.layers"] == [] and settings["data.labels"] is None


def test_settings_of_paths_and_addresses_name_no_person(cfg: Config) -> None:
    cfg.data.judgements = "/home/me/said.csv"
    cfg.backbone.weights = "~/models/net\udcff.pth"
    cfg.data.labels = "tables/../../me/works.csv"
    cfg.download.contact = "me@museum.org"
    cfg.tracking.project = "https://me:secret@museum.org/x"
    settings = citable_options(cfg)
    assert settings["data.judgements"] == "said.csv"
    assert settings["data.labels"] == "works.csv"
    assert settings["backbone.weights"] == "net\ufffd.pth"
    assert settings["tracking.project"] == "https://***@museum.org/x"
    assert "download.contact" not in settings


def test_a_private_option_in_a_group_is_not_told() -> None:
    words = ["download={contact: me@x.org}", "++download={contact: me@x.org}", "seed=1"]
    assert citable_overrides(words) == ["seed=1"]


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("""data={images: "/home/me, jr/it's/art", seed: 1}""", 'data={images:"art",seed:1}'),
        ("data={a: [{b: '~/me/x'}]}", "data={a:[{b:'x'}]}"),
        ('x="https://me:secret@museum.org/a?token=1"', 'x="https://***@museum.org/a?***"'),
        ('x="a/../../me/caf\udce9"', 'x="caf\ufffd"'),
        ("x={a: 1e3,  b: works/a.csv}", "x={a: 1e3,  b: works/a.csv}"),  # as it was written
    ],
)
def test_paths_in_groups_and_quotes_are_found(word: str, told: str) -> None:
    assert citable_overrides([word]) == [told]


def test_overrides_of_hydra_are_told_without_paths(tmp_path: Path, cfg: Config) -> None:
    words = [f"data.images={cfg.data.images}", "download.contact=me@x.org", "+seed=3"]
    words += [f"outputs='{cfg.outputs}'", "data=folder"]
    (tmp_path / ".hydra").mkdir()
    (tmp_path / ".hydra" / "overrides.yaml").write_text(yaml.safe_dump(words))
    run(cfg, tmp_path)
    told = checked_results(tmp_path)["run"]
    assert told["overrides"] == ["data.images=paintings", "+seed=3", "outputs='outputs'", words[-1]]
    assert told["name"] == tmp_path.name  # it is not below outputs


def test_skipped_images_are_counted_by_reason(cfg: Config, paintings: Path, tmp_path: Path) -> None:
    for number in (0, 1):
        (paintings / "ada" / f"{number}.png").write_text("no image")
    (paintings / "ada" / "l'été.png").write_text("no image")
    cut_off = paintings / "ada" / "2.png"
    cut_off.write_bytes(cut_off.read_bytes()[:60])
    run(cfg, tmp_path / "run")
    counts = checked_results(tmp_path / "run")["counts"]
    assert (counts["images"], counts["skipped"], counts["missing"]) == (9, 4, 0)
    assert sum(counts["skipped_by_reason"].values()) == 4
    assert [*counts["skipped_by_reason"].values()] == [3, 1]
    assert ".png" not in str(counts)


def test_weights_of_a_file_have_its_checksum(cfg: Config, tmp_path: Path) -> None:
    path = tmp_path / "own.pth"
    torch.save(models.resnet18().state_dict(), path)
    run(changed(cfg, "backbone", weights=str(path)), tmp_path / "run")
    weights = checked_results(tmp_path / "run")["inputs"]["weights"]
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    name = f"own.pth (sha256 {digest[:16]})"
    assert weights == {"name": name, "file": "own.pth", "sha256": digest}


def test_published_weights_are_told_by_the_name_of_their_file(tmp_path: Path) -> None:
    published = Backbone(name="resnet50")
    assert weights_file(published, tmp_path) == {}  # which only torchvision knows
    cached_preset(published, tmp_path)
    file = {"file": "resnet50-11ad3fa6.pth", "sha256": "11ad3fa6"}
    assert weights_file(published, tmp_path) == file
    assert weights_file(Backbone(name="resnet50", weights="random"), tmp_path) == {}


def test_numbers_that_json_does_not_have_are_left_out(cfg: Config, finished_run: Path) -> None:
    files, metrics = RunFolder(finished_run), {"intra": 0.5, "gap": np.nan, "separation": np.inf}
    results = run_results(files, cfg, metrics, files.gallery(), files.path)
    assert [*results["metrics"]["embedding"]] == ["intra"]


def test_numbers_that_json_does_not_have_are_never_written(tmp_path: Path) -> None:
    folder = write_ranked_run(tmp_path)
    with pytest.raises(ValueError, match="not JSON compliant"):
        RunFolder(folder).write_results({"intra": float("nan")})
    checked_results(folder)  # as it was


@pytest.mark.parametrize("by_query", [False, True])
def test_each_metric_tells_what_its_resamples_draw(by_query: bool) -> None:
    names = ["artist/map", "artist/map_macro", "object/recall_at_1", "judged/map", "intra"]
    ends = {"": 0.5, "_low": 0.4, "_high": 0.6}
    metrics = {name + end: value for name in names for end, value in ends.items()}
    groups = metric_groups(metrics, by_query)
    label = groups["labels"]["artist"]["map"]
    found = [label, groups["objects"]["recall_at_1"], groups["judged"]["map"]]
    of_class = "queries" if by_query else "classes"
    assert [figure["resampled"] for figure in found] == [of_class, of_class, "queries"]
    assert label["macro"]["resampled"] == "classes"
    assert groups["embedding"]["intra"]["resampled"] == "queries"


def test_a_label_may_have_any_name() -> None:
    metrics = {
        "a/b_low/map": 0.5,
        "a/b_low/map_low": 0.4,
        "a/b_low/map_high": 0.6,
        "x\udcff/map": 1,
    }
    groups = metric_groups(metrics)
    assert groups["labels"]["a/b_low"]["map"]["low"] == 0.4
    assert groups["labels"]["x\ufffd"]["map"]["value"] == 1


@pytest.mark.parametrize(("content", "why"), [("[]", "not a mapping"), ("{", "damaged")])
def test_damaged_results_are_refused(content: str, why: str, tmp_path: Path) -> None:
    assert RunFolder(tmp_path).results() is None
    (tmp_path / "results.json").write_text(content)
    with pytest.raises(UserError, match=rf"results\.json.*{why}"):
        RunFolder(tmp_path).results()


def test_a_run_that_begins_again_discards_its_results(tmp_path: Path) -> None:
    files = RunFolder(write_ranked_run(tmp_path))
    assert files.results() is not None
    files.discard_results()
    assert files.results() is None


def test_queries_of_a_table_come_from_one_file(finished_run: Path) -> None:
    """The line that a paper's table needs."""
    labels = checked_results(finished_run)["metrics"]["labels"]
    metric = labels["folder"]["map_at_10"]
    assert 0 <= metric["low"] <= metric["value"] <= metric["high"] <= 1
    assert metric["unit"] == "share (0 to 1)" and metric["better"] == "higher"
    with np.load(finished_run / "queries.npz") as queries:
        assert queries["folder/map_at_10"].mean() == pytest.approx(metric["value"])

"""Judged pairs through the stages: the same numbers as by hand, however neighbors are found."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from src.config import Config
from src.errors import UserError
from src.evaluation.judgements import Pairs
from src.gallery.judgements import Verdict
from src.pipeline.collect import collect
from src.pipeline.evaluate import ranked_lists
from src.pipeline.judged import pair_keys
from src.pipeline.rank import Ranking
from src.reporting.run_folder import RunFolder
from src.run import run
from src.similarity import top_k
from src.similarity.csls import csls_penalty
from tests.support.options import changed, store
from tests.support.ranked_run import clustered, write_ranked_run

N = 60
DRAW = np.random.default_rng(5)
PAIRS = [
    (i, j, bool(i % 6 == j % 6))
    for i, j in np.unique(DRAW.integers(0, (30, N), (250, 2)), axis=0).tolist()
    if i != j
]
VERDICTS = [Verdict(f"{i:03d}.png", f"{j:03d}.png", "", good) for i, j, good in PAIRS]


def by_hand(index: np.ndarray, order: np.ndarray) -> dict[str, float]:
    """Return the metrics by plain loops over lists index (n, k) and what orders pairs (n, n)."""
    agreement, precision, judged = [], [], []
    said = {(i, j): good for i, j, good in PAIRS}
    for i in sorted({i for i, _ in said}):
        good = [order[i, j] for (query, j), is_good in said.items() if query == i and is_good]
        bad = [order[i, j] for (query, j), is_good in said.items() if query == i and not is_good]
        wins = [(g > b) + (g == b) / 2 for g in good for b in bad]
        agreement += [np.mean(wins)] if wins else []
        seen = [said[i, j] for j in index[i, :10].tolist() if (i, j) in said]
        judged.append(len(seen) / 10)
        precision += [np.mean(seen)] if seen else []
    values = {"agreement": agreement, "precision_at_10": precision, "judged_at_10": judged}
    means = {f"judged/{name}": float(np.mean(found)) for name, found in values.items()}
    return means | {f"judged/{name}_queries": len(found) for name, found in values.items()}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"storage": "full"},
        {"postprocess": "center", "storage": "full", "block_size": "7"},
        {"postprocess": "whiten"},
        {"ranking": "csls"},
        {"top_k": 3},
    ],
    ids=str,
)
def test_the_metrics_are_those_by_hand(tmp_path: Path, options: dict[str, Any]) -> None:
    rows = clustered()[:, :8] - 0.6
    rows[N - 1] += 0.01  # two equal rows would tie
    folder = RunFolder(
        write_ranked_run(tmp_path, None, rows, verdicts=VERDICTS, **options | {"top_k": 10})
    )
    index, score = folder.neighbors()
    features = rows.astype(np.float64)
    if "postprocess" in options:
        mean, axes = folder.postprocess()
        features = features / np.linalg.norm(features, axis=1)[:, None] - mean
        features = features if axes is None else features @ axes
    unit = features / np.linalg.norm(features, axis=1)[:, None]
    order = unit @ unit.T
    np.testing.assert_allclose(np.take_along_axis(order, index, axis=1), score, atol=1e-6)
    if "ranking" in options:
        order = order - folder.penalty()
    metrics = folder.metrics()
    assert metrics is not None
    expected = by_hand(index, order)
    assert {name: metrics[name] for name in expected} == pytest.approx(expected, abs=1e-6)
    assert (metrics["judged/pairs"], metrics["judged/disputed"]) == (len(PAIRS), 0)
    assert 0.5 < metrics["judged/agreement_low"] < metrics["judged/agreement"]


def test_they_are_equal_to_the_bit_for_all_storage_modes(tmp_path: Path) -> None:
    found = []
    for job, options in enumerate(
        ({}, {"storage": "full"}, {"block_size": "7", "storage": "full"})
    ):
        folder = write_ranked_run(tmp_path, job=str(job), verdicts=VERDICTS, **options)
        metrics = json.loads((folder / "metrics.json").read_text())
        found.append({name: value for name, value in metrics.items() if "judge" in name})
    assert found[0] == found[1] == found[2]
    assert len(found[0]) > 20 and len(found[0]["judgements"]) == 16


@pytest.mark.parametrize("has_penalty", [False, True], ids=["cosine", "csls"])
def test_keys_of_pairs_are_those_of_lists_to_the_bit(has_penalty: bool) -> None:
    features = torch.from_numpy(clustered(300, 40))
    penalty = csls_penalty(top_k(features, 10).score) if has_penalty else None
    found = top_k(features, 20, penalty=penalty)
    ranking = Ranking(features, found, found, None, "cpu", penalty)
    lists = ranked_lists(ranking, 20)
    query, neighbor = np.repeat(np.arange(300), 20), found.index.reshape(-1).astype(np.int64)
    pairs = Pairs(query, neighbor, np.ones(6000, dtype=bool))
    assert lists.key is not None
    np.testing.assert_array_equal(pair_keys(ranking, pairs), lists.key.reshape(-1))


def test_an_embedding_without_differences_gets_chance(tmp_path: Path) -> None:
    alike = np.ones((N, 4), dtype=np.float32)
    folder = write_ranked_run(tmp_path, None, alike, verdicts=VERDICTS)
    metrics = json.loads((folder / "metrics.json").read_text())
    of_query = [[good for query, _, good in PAIRS if query == row] for row in range(30)]
    assert metrics["judged/agreement"] == metrics["judged/agreement_chance"] == 0.5
    for depth in (1, 5, 10):
        shares = [np.mean(said) for said in of_query if said]
        assert metrics[f"judged/precision_at_{depth}"] == pytest.approx(np.mean(shares))
        judged = np.mean([len(said) / (N - 1) for said in of_query if said])
        assert metrics[f"judged/judged_at_{depth}"] == pytest.approx(judged)


def test_the_hash_is_that_of_what_is_said(tmp_path: Path) -> None:
    others = [VERDICTS[0]._replace(is_good=not VERDICTS[0].is_good), *VERDICTS[1:]]
    hashes = []
    for job, verdicts in enumerate((VERDICTS, VERDICTS[::-1], others, ())):
        folder = write_ranked_run(tmp_path, job=str(job), verdicts=verdicts)
        hashes.append(json.loads((folder / "metrics.json").read_text()).get("judgements"))
    assert hashes[0] == hashes[1] != hashes[2] and hashes[3] is None


def test_pairs_of_excluded_images_and_of_unreadable_ones_are_left_out(tmp_path: Path) -> None:
    same_object = Verdict("000.png", "001.png", "", True)
    gone = Verdict("000.png", "not read.png", "", True)
    folder = write_ranked_run(tmp_path, verdicts=[same_object, gone], exclude="same_object")
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["judged/pairs"] == metrics["judged/queries"] == 0
    assert "judged/agreement" not in metrics


def test_what_no_list_can_show_is_told_and_is_no_agreement_of_judges(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    itself = [Verdict("000.png", "000.png", judge, judge == "ann") for judge in ("ann", "bob")]
    folder = write_ranked_run(tmp_path, verdicts=[*itself, Verdict("000.png", "006.png", "", True)])
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["judged/pairs"] == metrics["judged/judges"] == 1
    assert "judged/judge_agreement" not in metrics
    assert "2 about one image or two that similarity.exclude keeps apart" in caplog.text


def judged(images: Path, path: Path) -> list[str]:
    """Write verdicts about the images of a folder; return their files."""
    files = sorted(str(file.relative_to(images)) for file in images.rglob("*.*"))
    lines = [["query", "neighbor", "judgement"]]
    lines += [[files[0], file, str(at % 2)] for at, file in enumerate(files[1:])]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(lines)
    return files


def test_a_run_evaluates_its_table_and_says_so(
    cfg: Config,
    paintings: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    table, folder = tmp_path / "judged.csv", tmp_path / "run"
    files = judged(paintings, table)
    cfg = changed(cfg, "data", judgements=str(table))
    store(cfg, folder)
    run(cfg, folder)
    metrics = RunFolder(folder).metrics()
    assert metrics is not None
    assert metrics["judged/pairs"] == len(files) - 1 and metrics["judged/queries"] == 1
    _, score = RunFolder(folder).neighbors()
    assert 0 <= metrics["judged/agreement"] <= 1
    assert f"judgements: {len(files) - 1} pairs of 1 query, agreement" in capsys.readouterr().out
    left_out = "1 query; left out: 0 disputed pairs, 0 verdicts about images that cannot be read"
    assert left_out in caplog.text
    settings = yaml.safe_load((folder / ".hydra" / "config.yaml").read_text())
    assert settings["data"]["judgements"] == str(table)
    table.unlink()
    from src.config.stored import stored_config

    assert stored_config(settings, folder).data.judgements is None  # queries do not need it


def test_a_table_that_does_not_fit_is_refused_when_the_images_are_listed(
    cfg: Config, paintings: Path, tmp_path: Path
) -> None:
    table = tmp_path / "judged.csv"
    table.write_text("query,neighbor,judgement\nnowhere.png,nothing.png,1\n")
    with pytest.raises(UserError, match="has no pair of the"):
        collect(changed(cfg, "data", judgements=str(table)))
    table.write_text("query,neighbor,judgement\nnowhere.png,nothing.png,perhaps\n")
    with pytest.raises(UserError, match="line 2: judgement must be 1 or yes"):
        collect(changed(cfg, "data", judgements=str(table)))

"""--baseline: a run by folder, name or settings; what is unclear is refused with what there is."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from src.config import Config
from src.config.names import option_defaults, option_names
from src.leaderboard.__main__ import main
from src.leaderboard.comparison import compare
from src.leaderboard.runs import read_runs
from tests.support.made_runs import N, random_neighbors, update_metrics, write_run

RUNS = {
    "0": {"backbone": {"layer": "layer2"}, "similarity": {"postprocess": "none"}},
    "1": {"backbone": {"layer": "layer4"}, "similarity": {"postprocess": "none"}},
    "2": {"backbone": {"layer": "layer4"}, "similarity": {"postprocess": "whiten"}},
    "3": {
        "backbone": {"layer": "layer4", "layers": ["layer2", "layer4"]},
        "similarity": {"postprocess": "whiten", "whiten_power": 0.25, "write_csv": False},
    },
}


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """Write four runs; similarity.ranking is older than all of them."""
    draw = np.random.default_rng(0)
    for name, settings in RUNS.items():
        write_run(tmp_path / "sweep" / name, draw.random(N), random_neighbors(draw), **settings)
    return tmp_path / "sweep"


def baseline_of(folder: Path, text: str) -> str:
    """Return the name of the run that is meant."""
    (board,) = compare(read_runs([folder]), None, text).boards
    assert board.baseline is not None
    return board.names[board.runs.index(board.baseline)]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("1", "1"),
        ("backbone.layer=layer2", "0"),
        ("backbone.layer=layer4,similarity.postprocess=none", "1"),
        ("similarity.whiten_power=.25", "3"),
        ("similarity.write_csv=false", "3"),
        ("similarity.write_csv=no", "3"),
        ("backbone.layers=[layer2,layer4]", "3"),
        ("backbone.layers=[layer2, layer4],similarity.postprocess=whiten", "3"),
        ("similarity.ranking=cosine,backbone.layer=layer2", "0"),  # the default of an older run
        ("similarity.whiten_dim=null,backbone.layer=layer2", "0"),
    ],
)
def test_a_run_is_meant_by_its_name_or_its_settings(text: str, name: str, sweep: Path) -> None:
    assert baseline_of(sweep, text) == name


def test_a_run_is_meant_by_its_folder(sweep: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert baseline_of(sweep, str(sweep / "2")) == "2"
    monkeypatch.chdir(sweep.parent)
    assert baseline_of(sweep, "sweep/2/") == "2"
    (sweep.parent / "a=b").symlink_to(sweep)  # a folder first, then settings
    assert baseline_of(sweep, "a=b/3") == "3"


def test_a_folder_goes_before_a_name_in_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = np.random.default_rng(0)
    for folder in ("sweep/0", "deep/sweep/0"):
        write_run(tmp_path / folder, draw.random(N), random_neighbors(draw))
    assert baseline_of(tmp_path, "sweep/0") == "sweep/0"
    monkeypatch.chdir(tmp_path / "deep")
    assert baseline_of(tmp_path, "sweep/0") == "deep/sweep/0"


def test_a_file_is_meant_by_its_name_as_in_the_table(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    for name in ("x", "y"):
        options = {"backbone": {"layer": "layer4", "weights": f"/weights/{name}.pth"}}
        write_run(tmp_path / name, draw.random(N), random_neighbors(draw), **options)
    assert baseline_of(tmp_path, "backbone.weights=y.pth") == "y"


def test_a_run_is_meant_by_the_words_of_its_command(sweep: Path) -> None:
    (sweep / "0" / ".hydra" / "overrides.yaml").write_text(yaml.safe_dump(["backbone.layer=50%"]))
    assert baseline_of(sweep, "backbone.layer=50%") == "0"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("7", "no run is called that; there are "),
        ("backbone.layer=layer4", "fits 3 runs of a board: "),
        ("backbone.layr=layer4", "no run has a setting backbone.layr; did you mean backbone.layer"),
        ("backbone.layer=layer3", "no run has backbone.layer=layer3; the runs have layer"),
        ("backbone.layer=layer2,similarity.postprocess=whiten", "no run has all of these settings"),
        ("backbone.layer=", "give a run, or settings as name=value,name=value, such as"),
        ("=1", "give a run, or settings as name=value"),
        (
            "similarity.write_csv=1",
            "no run has similarity.write_csv=1; the runs have ",
        ),  # true is not 1
        ("backbone.layer=[", "no run has backbone.layer=[; the runs have"),
        ("", "no run is called that; there are"),
    ],
)
def test_what_is_unclear_is_refused(text: str, message: str, sweep: Path, capsys) -> None:
    assert main([str(sweep), "--baseline", text]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: --baseline {text}") and error.count("\n") == 1
    assert message in error.removeprefix(f"error: --baseline {text}").lstrip(": ")
    assert not (sweep / "leaderboard.csv").exists()


def test_of_several_candidates_each_is_listed_in_words(sweep: Path, capsys) -> None:
    main([str(sweep), "--baseline", "similarity.postprocess=whiten"])
    error = capsys.readouterr().err
    assert "2 (layer4, whitened" in error and "3 (layer4, whitened" in error
    assert "give the name of one, or more settings" in error and "1 (" not in error


def test_a_run_that_cannot_be_the_baseline_is_refused_with_the_reason(sweep: Path, capsys) -> None:
    update_metrics(sweep / "1", hubness=0.5)
    assert main([str(sweep), "--sort", "hubness", "--baseline", str(sweep / "0")]) == 2
    assert "that run has no hubness" in capsys.readouterr().err
    (sweep / "0" / "metrics.json").unlink()
    assert main([str(sweep), "--baseline", str(sweep / "0")]) == 2
    assert "that run is incomplete: interrupted" in capsys.readouterr().err


def test_a_run_that_is_not_compared_is_no_baseline(sweep: Path, capsys) -> None:
    others = [str(sweep / name) for name in ("0", "1")]
    assert main([*others, "--baseline", str(sweep / "2")]) == 2
    assert "that run is not one of those compared: give its folder, too" in capsys.readouterr().err


def test_a_baseline_alone_has_no_difference(sweep: Path, capsys) -> None:
    for words in ([], ["--latex"]):
        assert main([str(sweep / "2"), "--baseline", "2", *words]) == 0
        assert "significant" not in capsys.readouterr().out
    table = pd.read_csv(sweep / "2" / "leaderboard.csv")
    assert table["difference"].isna().all() and table["p_holm"].isna().all()


def test_each_board_has_its_own_baseline_or_the_gap_to_its_best(tmp_path: Path, capsys) -> None:
    draw = np.random.default_rng(0)
    for number, (images, layer) in enumerate(
        [("1", "layer2"), ("1", "layer4"), ("2", "layer2"), ("2", "layer4"), ("3", "a"), ("3", "b")]
    ):
        paths = {"images": images}
        options = {"backbone": {"layer": layer}}
        write_run(tmp_path / f"{number}", draw.random(N), random_neighbors(draw), paths, **options)
    assert main([str(tmp_path), "--baseline", "backbone.layer=layer2"]) == 0
    table = pd.read_csv(tmp_path / "leaderboard.csv").set_index("run").sort_index()
    assert table["mark"].eq("baseline").tolist() == [True, False, True, False, False, False]
    assert table["difference"].notna().tolist() == [False, True, False, True, False, False]
    assert table["behind"].notna().sum() == 1 and table["behind"][[4, 5]].notna().any()
    metric = table["artist/map_at_10"]
    for first, second in ((0, 1), (2, 3)):
        assert table["difference"][second] == pytest.approx(metric[second] - metric[first])
    printed = capsys.readouterr().out
    assert printed.count("difference to the baseline") == 2 and "behind the best" in printed


def test_the_defaults_of_options_are_plain_values_of_the_schema() -> None:
    defaults, config = option_defaults(), Config
    assert option_names() >= defaults.keys() and "similarity.top_k" in defaults
    assert defaults["similarity.postprocess"] == "none" and defaults["seed"] == config.seed
    assert defaults["similarity.whiten_dim"] is None and defaults["data.artists"] == []
    assert defaults["evaluation.resample"] == "class"

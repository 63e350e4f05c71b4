"""Names of a sweep's runs."""

from pathlib import Path
from typing import Any

import pytest

from src.config.overrides import MULTIRUN, varied_overrides
from src.errors import UserError
from src.reporting.run_names import MAX_BYTES, job_name, join_name
from tests.support.made_runs import write_multirun

SETTINGS: dict[str, Any] = {
    "backbone.layer": "layer2",
    "backbone.weights": "/weights/of/style.pth",
    "similarity.postprocess": "whiten",
    "similarity.top_k": 5,
    "similarity.whiten_dim": None,
    "seed": 1,
}
TASK = ["data=demo", "backbone.layer=layer1,layer2", "similarity.postprocess=none,whiten"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "3"),
        (["backbone.layer=layer2"], "3 · layer2"),
        (
            ["backbone.layer=layer2", "similarity.postprocess=whiten", "similarity.top_k=5"],
            "3 · layer2 · whiten · k=5",
        ),
        (["backbone.layer=50%"], "3 · layer2"),  # the layer that is at that depth
        (["backbone.weights=/weights/of/style.pth", "seed=1"], "3 · style.pth · seed=1"),
        (["backbone=swin_t", "similarity.whiten_dim=null"], "3 · swin_t · all axes"),
        (["data=demo"], "3"),  # all jobs share it
        (["trainer.precision=16-mixed"], "3 · precision=16-mixed"),
        (["download.contact=me@a.invalid", "seed=1"], "3 · seed=1"),  # trackers get the name
    ],
)
def test_a_job_is_named_by_what_its_sweep_varies(
    words: list[str], expected: str, tmp_path: Path
) -> None:
    write_multirun(tmp_path, {"similarity.top_k": "5,10", "data.limit": "9"}, TASK)
    assert job_name(tmp_path, "3", [*words, "data.limit=9"], SETTINGS) == expected


def test_names_are_short_and_have_no_separator_of_folders() -> None:
    assert join_name(["0", "a/b\n\x1b[2J", "caf\udce9"]) == r"0 · a-b\n\x1b[2J · caf\udce9"
    for letter in ("a", "ж", "画"):
        name = join_name(["12", letter * 500])
        assert len(name.encode()) <= MAX_BYTES and name.startswith(f"12 · {letter}")
        assert name.endswith("…")


def test_a_sweep_that_cannot_be_read_is_an_error_and_an_empty_one_shares_nothing(
    tmp_path: Path,
) -> None:
    (tmp_path / MULTIRUN).touch()
    assert varied_overrides(tmp_path, ["seed=1"]) == ["seed=1"]
    (tmp_path / MULTIRUN).write_text("hydra: [")
    with pytest.raises(UserError, match="multirun.yaml is damaged"):
        varied_overrides(tmp_path, ["seed=1"])

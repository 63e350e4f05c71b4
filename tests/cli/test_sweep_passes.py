"""A sweep over layers and poolings passes its images through the network once."""

import json
from pathlib import Path

import pytest

from tests.support.commands import command


@pytest.mark.slow
def test_a_sweep_embeds_once(shared_paintings: Path, tmp_path: Path) -> None:
    words = [
        "-m",
        "backbone.pooling=avg,meanstd",
        "backbone.layer=features.3,features.3*2+features.4",
    ]
    words += ["data=folder", f"data.images={shared_paintings}", f"outputs={tmp_path}"]
    words += ["backbone.name=squeezenet1_1", "backbone.weights=random", "backbone.join=whitened"]
    words += ["trainer.accelerator=cpu", "tracking=off", "similarity.top_k=3"]
    words += ["evaluation.resamples=20", "data.workers=0"]
    result = command("src.run", *words)
    assert result.returncode == 0, result.stderr
    runs = sorted(tmp_path.glob("sweeps/*/*/*/metrics.json"))
    metrics = [json.loads(path.read_text()) for path in runs]
    assert [each["reused_embeddings"] for each in metrics] == [False, True, True, True]
    assert metrics[0]["embedded_rows"] == 12
    folders = {path.parent.name for path in tmp_path.glob("embeddings/*/*/*/features.npy")}
    assert folders == {
        *("features.3", "features.4", "features.3-whitened"),
        "features.3*2+features.4-whitened",
    }

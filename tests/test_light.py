"""The imports of commands and the waiting of their idle threads, in processes of their own."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.commands import ROOT, command

SMALL = ("backbone.name=resnet18", "backbone.weights=random", "backbone.layer=layer1")
HEAVY = {"torchvision", "lightning", "torchmetrics", "scipy", "wandb", "timm", "openvino"}


def python(*words: str, **environment: str) -> str:
    """Run Python with these arguments, and return what it prints to stderr."""
    result = subprocess.run(
        [sys.executable, *words],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    return result.stderr


@pytest.mark.slow
def test_a_run_with_cached_rows_imports_no_heavy_library(paintings: Path, tmp_path: Path) -> None:
    source = ("data=folder", f"data.images={paintings}", f"outputs={tmp_path}", "tracking=off")
    words = (*source, *SMALL, "similarity.top_k=3")
    assert command("src.run", *words).returncode == 0
    printed = python("-X", "importtime", "-m", "src.run", *words)
    imported = set(re.findall(r"import time: .* \| +(\w+)$", printed, re.MULTILINE))
    assert {"torch", "pandas", "hydra"} <= imported
    assert not imported & HEAVY


@pytest.mark.parametrize(("asked", "policy"), [("", "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_idle_threads_sleep_unless_the_user_says_otherwise(asked: str, policy: str) -> None:
    """OpenMP prints the settings that it has read when torch loads it."""
    unset = "import os; os.environ.pop('OMP_WAIT_POLICY', None)"  # inherited from this process
    set_policy = f"import os; os.environ['OMP_WAIT_POLICY'] = '{asked}'"
    start = set_policy if asked else unset
    printed = python("-c", f"{start}; import src.similarity.search", OMP_DISPLAY_ENV="true")
    assert f"OMP_WAIT_POLICY = '{policy}'" in printed

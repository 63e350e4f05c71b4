"""The snippets of README.md run as they stand."""

import ast
import re
import subprocess
import sys
from pathlib import Path

from src.reporting.run_folder import RunFolder
from tests.support.commands import ROOT

TEXT = (ROOT / "README.md").read_text()
PANDAS, FIFTYONE = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
FOLDER = "outputs/runs/<date>/<time>"


def test_the_snippet_of_pandas_needs_no_other_program(finished_run: Path, tmp_path: Path) -> None:
    assert FOLDER in PANDAS
    code = "import matplotlib; matplotlib.use('Agg')\n" + PANDAS.replace(FOLDER, str(finished_run))
    command = [sys.executable, "-I", "-W", "ignore::ResourceWarning", "-c", code]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    first = RunFolder(finished_run).neighbors()[0][0]
    rows = re.findall(r"^(\d+) ", result.stdout, re.MULTILINE)
    assert rows == [str(row) for row in first]
    assert re.search(r"^folder( +\d\.\d+){4}$", result.stdout, re.MULTILINE)  # value to chance


def test_the_snippet_of_fiftyone_drops_columns_that_each_run_has(finished_run: Path) -> None:
    tree = ast.parse(FIFTYONE)
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    assert {"x", "y", "neighbors", "file"} <= texts
    assert {"x", "y", "neighbors", "file"} <= set(RunFolder(finished_run).paintings())


def test_the_command_of_embedding_atlas_names_columns_that_each_run_has(
    finished_run: Path,
) -> None:
    (command,) = re.findall(rf"embedding-atlas {FOLDER}/paintings\.parquet (.*)", TEXT)
    words = command.split()
    columns = dict(zip(words[::2], words[1::2], strict=True))
    assert columns == {"--x": "x", "--y": "y", "--neighbors": "neighbors", "--text": "title"}
    assert {"x", "y", "neighbors"} <= set(RunFolder(finished_run).paintings())


def test_methods_that_are_named_are_those_of_a_run() -> None:
    (told,) = re.findall(r"RunFolder\(\"outputs.*?\)` has the\s+methods\s(.*)\n", TEXT)
    names = re.findall(r"`(\w+)\(\)`", told)
    assert len(names) == 7
    assert all(callable(getattr(RunFolder, name)) for name in names)

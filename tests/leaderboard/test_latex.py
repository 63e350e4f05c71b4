import re
from pathlib import Path

import numpy as np
import pytest

from src.leaderboard.__main__ import main
from src.leaderboard.latex import escape_latex
from tests.support.made_runs import N, random_neighbors, update_metrics, write_run

HOSTILE = r"100% of {a_b}\input{x} $x^2$ ~&# [y] *z <|> …"
SPECIAL = re.compile(r"[{}$&#%_^~\\<>|…\[\]*]")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write two runs, the second one better, with settings and a label of hostile names."""
    draw = np.random.default_rng(0)
    for number, layer in enumerate(["layer2", HOSTILE]):
        values = 0.2 + 0.1 * number + 0.2 * draw.random(N)
        write_run(tmp_path / str(number), values, random_neighbors(draw), backbone={"layer": layer})
        more = {f"{HOSTILE}/map_at_10": 0.5, "artist/precision_at_1": 0.25, "hubness": number}
        more |= {"artist/precision_at_1_low": 0.2, "artist/precision_at_1_high": 0.3}
        update_metrics(tmp_path / str(number), **more, **{"artist/map_at_10_chance": 0.0625})
    return tmp_path


def plain(text: str) -> str:
    """Return text without the escapes and the commands that the program writes."""
    text = re.sub(r"\\(?:textbackslash|textasciicircum|textasciitilde|ldots)\{\}", "", text)
    text = re.sub(r"\\(?:textless|textgreater|textbar)\{\}|\\[{}$&#%_]|\{[\[\]*]\}", "", text)
    return text.replace("$-$", "")


def test_every_special_character_is_escaped() -> None:
    assert not SPECIAL.search(plain(escape_latex(HOSTILE)))
    assert escape_latex("a\nb\x1b") == r"a\textbackslash{}nb\textbackslash{}x1b"
    assert escape_latex("Künstler 藝術") == "Künstler 藝術"


def test_the_table_is_balanced_and_every_line_has_all_cells(folder: Path, capsys) -> None:
    assert main([str(folder), "--latex"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(r"% needs \usepackage{booktabs}")
    (columns,) = re.findall(r"\\begin\{tabular\}\{([lr]+)\}", printed)
    lines = [line for line in printed.splitlines() if line.endswith(r" \\")]
    assert len(lines) == 3
    for line in lines:
        cells = plain(line).removesuffix(r" \\").split(" & ")
        assert len(cells) == len(columns)
    rest = plain(printed)
    assert rest.count("{") == rest.count("}") and "$" not in rest and "_" not in rest
    found = re.findall(r"\\(begin|end)\{(\w+)\}", printed)
    assert found == [*(("begin", name) for name in ("table", "tabular"))] + [
        *(("end", name) for name in ("tabular", "table"))
    ]
    for rule in ("toprule", "midrule", "bottomrule"):
        assert printed.count(rf"\{rule}") == 1


def test_the_table_has_intervals_and_its_caption_what_they_are_of(folder: Path, capsys) -> None:
    main([str(folder), "--latex"])
    printed = capsys.readouterr().out
    best, other = (line for line in printed.splitlines() if "footnotesize" in line)
    assert r"\textbf{0." in best and r"\textbf" not in other
    assert other.count(r"\footnotesize") == 3  # the metric, the gap, precision at 1
    assert r"0.250 {\footnotesize {[}0.200, 0.300{]}}" in other
    caption = next(line for line in printed.splitlines() if r"\caption{" in line)
    assert f"{N} images of galleries" in caption.replace("images of g.", "images of galleries.")
    assert "mean average precision of the first 10 neighbors, over 200 queries" in caption
    assert r"95\% bootstrap intervals" in caption and "Random order would give 0.062." in caption
    assert not (folder / "leaderboard.md").exists()


def test_negative_numbers_have_a_minus_sign(folder: Path, capsys) -> None:
    update_metrics(folder / "0", intra=-0.5)
    update_metrics(folder / "1", intra=-0.25)
    main([str(folder), "--latex", "--sort", "intra"])
    assert "& $-$0.500 &" in capsys.readouterr().out


def test_incomplete_runs_are_comments(folder: Path, capsys) -> None:
    (folder / "0" / "metrics.json").unlink()
    assert main([str(folder), "--latex"]) == 1
    assert re.search(r"^% incomplete: .*0$", capsys.readouterr().out, re.MULTILINE)

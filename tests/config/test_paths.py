"""The ~ of a home folder in the options that are paths."""

from pathlib import Path

import pytest

from src.config import Backbone
from src.config.data import Folder, Iiif, Nga
from src.errors import UserError
from tests.support.commands import command
from tests.support.galleries import make_images


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make tmp_path/home the user's home folder, with a file and a folder of images."""
    folder = make_images(tmp_path / "home", "works/a.png", "works/b.png")
    (folder / "file").write_text("file,style\na.png,x\nb.png,x\n")
    monkeypatch.setenv("HOME", str(folder))
    return folder


def test_every_path_option_takes_a_home_folder(home: Path) -> None:
    assert Folder(images="~/works", labels="~/file").images == str(home / "works")
    assert Folder(images="~/works", labels="~/file").labels == str(home / "file")
    assert Nga(tables="~/works").tables == str(home / "works")
    assert Iiif(manifest="~/file").manifest == str(home / "file")
    assert Backbone(weights="~/file").path == home / "file"


def test_a_user_who_does_not_exist_is_part_of_the_name() -> None:
    with pytest.raises(UserError, match="data.images=~nobody-here/x does not exist"):
        Folder(images="~nobody-here/x")


@pytest.mark.usefixtures("small_squares")
@pytest.mark.slow
def test_outputs_are_written_below_the_home_folder(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    network = ("backbone.name=resnet18", "backbone.weights=random", "backbone.layer=layer1")
    words = ("data=folder", 'data.images="~/works"', 'data.labels="~/file"', 'outputs="~/out"')
    result = command("src.run", *words, *network, "similarity.top_k=1", "tracking=off")
    assert result.returncode == 0, result.stderr
    assert len(list(home.glob("out/runs/*/*/metrics.json"))) == 1
    assert not list(tmp_path.glob("~*"))

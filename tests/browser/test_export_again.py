"""A second export into the folder of an earlier one: what it makes again, and what it refuses."""

import json
from pathlib import Path

import pytest

from src import browse
from src.browser.export import export
from src.browser.export_plan import Export
from src.browser.site import Site
from src.errors import UserError


def pictures(folder: Path) -> dict[str, bytes]:
    """Return the pictures of an export."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.jpg")}


def test_images_that_are_back_are_no_longer_gray(
    moved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(name: str) -> tuple[list[str], dict[str, bytes]]:
        """Export into a folder; return the lines printed and the pictures."""
        outputs = ["--outputs", str(tmp_path / "empty")]
        assert browse.main([str(moved), "--export", str(tmp_path / name), *outputs]) == 0
        return capsys.readouterr().out.splitlines(), pictures(tmp_path / name)

    images, elsewhere = tmp_path / "paintings", tmp_path / "elsewhere"
    images.rename(elsewhere)
    lines, gray = run("site")
    assert lines[0].startswith(f"warning: 12 of 12 images cannot be read in {images} any more")
    elsewhere.rename(images)
    lines, after = run("site")
    assert not any("warning" in line for line in lines)
    assert after == run("fresh")[1]
    assert all(after[name] != gray[name] for name in gray)
    images.rename(elsewhere)
    assert run("site")[1] == after  # what was made stays


@pytest.mark.parametrize("name", ["1999", "2", "01"])
def test_a_number_that_is_no_run_of_the_export_is_not_deleted(
    site: Site, tmp_path: Path, name: str
) -> None:
    index = export(site, Export(tmp_path / "site"))
    letter = index.parent / name / "letter.txt"
    letter.parent.mkdir()
    letter.write_text("to keep")
    with pytest.raises(UserError, match=f"holds an earlier export and also {name}, which"):
        export(site, Export(tmp_path / "site"))
    assert letter.read_text() == "to keep" and index.exists()


def test_an_export_that_does_not_tell_its_runs_has_none(site: Site, tmp_path: Path) -> None:
    index = export(site, Export(tmp_path / "site"))
    marker = index.with_name("export.json")
    marker.write_text(json.dumps(json.loads(marker.read_text()) | {"runs": 2}))
    with pytest.raises(UserError, match="holds an earlier export and also 0, which"):
        export(site, Export(tmp_path / "site"))
    assert index.exists()

"""The folder of an export: whose it is, when it is complete, and how a later export goes on."""

import errno
import json
import shutil
from pathlib import Path

import pytest

from src import browse
from src.browser import export as exporting
from src.browser import picture_files
from src.browser.export import export
from src.browser.export_plan import Export
from src.browser.picture_files import Job
from src.browser.site import Site
from src.errors import UserError
from tests.support.processes import Child, Fork, Point


@pytest.fixture
def folder(site: Site, tmp_path: Path) -> Path:
    """Return the folder of a finished export."""
    export(site, Export(tmp_path / "site"))
    return tmp_path / "site"


def contents(folder: Path) -> dict[str, bytes]:
    """Return all files but the lock."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".lock"
    }


def test_the_same_export_has_the_same_bytes(site: Site, folder: Path, tmp_path: Path) -> None:
    before = contents(folder)
    export(site, Export(folder))
    export(site, Export(tmp_path / "other"))
    assert contents(folder) == before == contents(tmp_path / "other")


def test_what_is_there_is_not_made_again(
    site: Site, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    thumbnails = sorted(folder.rglob("thumbnails/*/*/*.jpg"))
    before = {path: path.stat().st_mtime_ns for path in thumbnails}
    thumbnails[3].unlink()
    made = list[Path]()
    monkeypatch.setattr(
        picture_files, "picture_of", lambda path, *_: (made.append(path), (b"new", True))[1]
    )
    export(site, Export(folder))
    assert made == [site.runs[0].file(int(thumbnails[3].stem))]
    after = {path: path.stat().st_mtime_ns for path in thumbnails if path != thumbnails[3]}
    assert after == {path: time for path, time in before.items() if path in after}


@pytest.mark.parametrize("change", [{"thumbnail": 32}, {"picture": 0}, {"limit": 4}, {"limit": 1}])
def test_other_options_begin_anew(
    site: Site, folder: Path, tmp_path: Path, change: dict[str, int]
) -> None:
    export(site, Export(folder, **change))
    export(site, Export(tmp_path / "fresh", **change))
    assert contents(folder) == contents(tmp_path / "fresh")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_one_sentence_and_leaves_no_first_page(
    site: Site, folder: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    expected = contents(folder)

    def full(job: Job) -> None:
        """Fail as a full disk does."""
        raise OSError(number, "No space left on device", str(job.target))

    with monkeypatch.context() as patch:
        patch.setattr(picture_files, "write_picture", full)
        with pytest.raises(UserError, match="disk of .* is full: free some space, then the same"):
            export(site, Export(folder))
    assert not (folder / "index.html").exists()
    export(site, Export(folder))
    assert contents(folder) == expected


def test_after_ctrl_c_the_same_command_goes_on(
    site: Site, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = contents(folder)

    def interrupted(job: Job) -> None:
        """Do as Python does when somebody presses Ctrl-C."""
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(picture_files, "write_picture", interrupted)
        with pytest.raises(KeyboardInterrupt):
            export(site, Export(folder))
    assert not (folder / "index.html").exists()
    assert capsys.readouterr().out.endswith("goes on where this one has stopped\n")
    export(site, Export(folder))
    assert contents(folder) == expected


def test_other_failures_are_told_as_they_are(
    site: Site, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(path: Path, text: str) -> None:
        """Fail as a folder of somebody else does."""
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(exporting, "_write", denied)
    with pytest.raises(PermissionError, match="Permission denied"):
        export(site, Export(folder))
    assert not (folder / "index.html").exists()


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda folder: (folder / "thesis.docx").write_text(""), "is not empty and holds no"),
        (lambda folder: (folder / "export.json").write_text('{"a": 1}'), "is not empty and holds"),
        (lambda folder: (folder / "export.json").write_text("[]"), "is not empty and holds no"),
    ],
)
def test_a_folder_of_others_is_refused(
    site: Site, tmp_path: Path, made: object, message: str
) -> None:
    (tmp_path / "site").mkdir()
    made(tmp_path / "site")  # type: ignore[operator]
    before = contents(tmp_path / "site")
    with pytest.raises(UserError, match=message):
        export(site, Export(tmp_path / "site"))
    assert contents(tmp_path / "site") == before


def test_files_of_others_beside_an_export_are_not_deleted(site: Site, folder: Path) -> None:
    (folder / "thesis.docx").write_text("years of work")
    with pytest.raises(UserError, match=r"holds an earlier export and also thesis\.docx"):
        export(site, Export(folder, thumbnail=64))
    assert (folder / "thesis.docx").read_text() == "years of work"
    assert (folder / "index.html").exists()


def test_links_and_files_are_no_folders(site: Site, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for name in ("file", "link"):
        with pytest.raises(UserError, match="is no folder: choose another name"):
            export(site, Export(tmp_path / name))
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_link_within_an_earlier_export_is_not_followed(
    site: Site, folder: Path, tmp_path: Path
) -> None:
    shutil.rmtree(folder / "pictures")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "paper.pdf").write_text("")
    (folder / "pictures").symlink_to(tmp_path / "mine")
    export(site, Export(folder, thumbnail=64))
    assert (tmp_path / "mine" / "paper.pdf").exists()
    assert not (folder / "pictures").is_symlink()


def test_an_export_does_not_lie_among_the_images(site: Site, tmp_path: Path) -> None:
    for folder in (site.runs[0].gallery.root, site.runs[0].gallery.root / "ada" / "site"):
        with pytest.raises(UserError, match="would take the export's pictures for paintings"):
            export(site, Export(folder))
    assert not (site.runs[0].gallery.root / "ada" / "site").exists()


def test_an_export_that_is_too_large_is_not_begun(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match=r"about .* more than --max-gb 1e-05: leave out large"):
        export(site, Export(tmp_path / "site", max_gb=1e-5))
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(UserError, match=r"has 1\.0 kB free, but .* are needed: free some space"):
        export(site, Export(tmp_path / "site"))
    assert not (tmp_path / "site").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"limit": 0}, "--limit must be at least 1, got 0"),
        ({"thumbnail": 31}, "--thumbnail must be between 32 and 1024 pixels, got 31"),
        ({"picture": 5000}, "--picture must be between 64 and 4096 pixels, or 0 for none, got"),
        ({"max_gb": float("nan")}, "--max-gb must be above 0, got nan"),
    ],
)
def test_options_out_of_bounds_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Export(Path("site"), **options)  # type: ignore[arg-type]


def test_the_command(
    two_runs: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outputs = ["--outputs", str(tmp_path / "outputs")]
    words = [str(two_runs[0]), "--export", str(tmp_path / "site"), *outputs]
    assert browse.main([*words, "--limit", "5", "--picture", "0"]) == 0
    out = capsys.readouterr().out
    assert "about " in out and out.endswith(f"open {tmp_path / 'site' / 'index.html'}\n")
    assert json.loads((tmp_path / "site" / "export.json").read_text())["limit"] == 5
    assert browse.main([*words, "--limit", "0"]) == 2
    assert "error: --limit must be at least 1" in capsys.readouterr().err


def export_in_child(runs: list[Path], folder: Path, point: Point | None) -> None:
    """Export as the command does, up to the point at which the process is to be killed."""
    if point is not None:
        point.arm()
    words = [*map(str, runs), "--export", str(folder), "--outputs", str(folder.parent / "outputs")]
    assert browse.main(words) == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["export.json", "gallery.html", "7.jpg", "index.html"])
def test_an_export_goes_on_after_a_kill(
    two_runs: list[Path], tmp_path: Path, fork: Fork, name: str, folder: Path
) -> None:
    def start(point: Point | None) -> Child:
        """Start an export."""
        return fork(export_in_child, two_runs, tmp_path / "killed", point)

    start(Point("replace", name=name)).kill_at_announcement()
    assert not (tmp_path / "killed" / "index.html").exists()
    start(None).wait_for_success()
    assert contents(tmp_path / "killed") == contents(folder)

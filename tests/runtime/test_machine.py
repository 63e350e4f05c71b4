"""What a run tells about this machine and about the versions of the programs."""

import os
import platform
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

from src.runtime import machine


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a git checkout with one commit of one file."""
    if shutil.which("git") is None:
        pytest.skip("needs git")
    folder = tmp_path / "checkout"
    folder.mkdir()
    (folder / "file").write_text("first")
    git(folder, "init", "-q")
    git(folder, "add", "file")
    git(folder, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "-m", "first")
    return folder


def git(folder: Path, *words: str) -> str:
    environment = {name: v for name, v in os.environ.items() if not name.startswith("GIT_")}
    environment |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    command = ["git", "-C", str(folder), *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def told(folder: Path) -> dict[str, object]:
    """Return what is told about a folder now, not what was cached."""
    return machine.commit.__wrapped__(folder)


def test_a_checkout_has_its_commit_and_whether_it_was_modified(checkout: Path) -> None:
    head = git(checkout, "rev-parse", "HEAD")
    assert told(checkout) == {"commit": head, "modified": False}
    (checkout / "outputs").mkdir()
    (checkout / "outputs" / "new").write_text("not of the program")
    assert told(checkout) == {"commit": head, "modified": False}
    (checkout / "file").write_text("second")
    assert told(checkout) == {"commit": head, "modified": True}


def test_the_environment_of_another_repository_is_ignored(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    assert told(checkout)["commit"] == git(checkout, "rev-parse", "HEAD")


def test_a_folder_inside_of_a_checkout_is_none(checkout: Path) -> None:
    (checkout / "site-packages").mkdir()
    assert told(checkout / "site-packages") == {}


def test_a_checkout_that_git_cannot_read_is_left_out(
    tmp_path: Path, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken" / ".git").mkdir(parents=True)
    assert told(tmp_path / "broken") == {}
    monkeypatch.setattr(machine, "GIT_SECONDS", 0)
    assert told(checkout) == {}
    monkeypatch.setenv("PATH", str(tmp_path))
    assert told(checkout) == {}


def test_versions_are_those_that_are_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "PACKAGES", ("torch", "no-such-package"))
    found = machine.versions()
    assert found["torch"] == version("torch") and found["python"] == platform.python_version()
    with pytest.raises(PackageNotFoundError):
        version("no-such-package")
    assert "no-such-package" not in found


def test_the_machine_has_a_processor_and_memory() -> None:
    found = machine.hardware()
    assert found["cpu"] and found["memory_gb"] > 0.5
    assert 1 <= found["cores"] <= (os.cpu_count() or 1)
    assert platform.node() not in found.values()


@pytest.mark.parametrize("is_used", [True, False])
def test_a_gpu_is_told_if_it_was_used(is_used: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_initialized", lambda: is_used)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda: "NVIDIA H100")
    monkeypatch.setattr("torch.version.cuda", "12.8")
    found = machine.hardware()
    expected = ("NVIDIA H100", "12.8") if is_used else (None, None)
    assert (found["gpu"], found["cuda"]) == expected


@pytest.mark.gpu
def test_a_gpu_that_computed_has_its_name() -> None:
    import torch

    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    torch.zeros(1, device="cuda")
    assert machine.hardware()["gpu"] == torch.cuda.get_device_name()


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ("processor\t: 0\nmodel name\t: Fast: CPU\nmodel name\t: Other\n", "Fast: CPU"),
        ("processor\t: 0\nmodel name\t:\n", platform.processor() or platform.machine()),
        (None, platform.processor() or platform.machine()),
    ],
)
def test_the_processor_is_named_where_the_system_tells(
    content: str | None, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "CPU_INFO", tmp_path / "cpuinfo")
    if content is not None:
        (tmp_path / "cpuinfo").write_text(content)
    assert machine.cpu_name() == name

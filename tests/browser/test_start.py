"""What the start of the browser loads."""

import subprocess
import sys


def test_it_starts_without_torch() -> None:
    code = "import sys, src.browse; print({'torch', 'torchvision', 'lightning'} & set(sys.modules))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == "set()\n"

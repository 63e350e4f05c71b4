"""How the browser starts: what it loads, and how it listens."""

import socket
import subprocess
import sys

from src.browser.serving import listen


def test_it_starts_without_torch() -> None:
    code = "import sys, src.browse; print({'torch', 'torchvision', 'lightning'} & set(sys.modules))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == "set()\n"


def test_no_answer_waits_for_an_acknowledgment() -> None:
    with listen("127.0.0.1", 0) as server, socket.create_connection(server.getsockname()):
        accepted, _ = server.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)

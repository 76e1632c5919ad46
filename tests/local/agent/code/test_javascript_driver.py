"""What only the order of events brings about in node, which no client can bring about at will."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from pytest_agb.local.agent.code import languages
from pytest_agb.local.agent.code.frames import Decoder, encode

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(not shutil.which("node"), reason="needs Node.js")


class Node:
    """Node with our driver, spoken to as the agent does."""

    def __init__(self) -> None:
        theirs, self._requests = os.pipe()
        self._replies, theirs_too = os.pipe()
        driver = languages.program("javascript").driver.decode()
        self.process = subprocess.Popen(
            ["node", "-e", driver, "--", str(theirs), str(theirs_too)],
            stdout=subprocess.PIPE,
            pass_fds=(theirs, theirs_too),
        )
        os.close(theirs)
        os.close(theirs_too)
        self._decoder = Decoder()

    def ask(self, code: str, timeout_ms: int) -> None:
        os.write(self._requests, encode("timeout", str(timeout_ms)) + encode("code", code))

    def frames(self) -> Iterator[tuple[str, str]]:
        """Yield what node answers, until it is gone."""
        while data := os.read(self._replies, 65536):
            for name, body in self._decoder.feed(data):
                yield name, body.decode()

    def close(self) -> None:
        os.close(self._requests)
        self.process.kill()
        self.process.communicate()
        os.close(self._replies)


@pytest.fixture
def node() -> Iterator[Node]:
    node = Node()
    yield node
    node.close()


def test_an_interrupt_heard_late_does_not_end_the_next_code(node: Node) -> None:
    node.ask("let kept = 42; console.log('begun'); while (true);", 500)
    assert node.process.stdout
    assert node.process.stdout.readline() == b"begun\n"
    node.process.send_signal(signal.SIGINT)  # node looks for signals after the endless loop was stopped ...
    node.ask("kept", 60_000)  # ... and after it has begun with what came meanwhile
    answers = []
    for name, text in node.frames():
        answers.append((name, text))
        if answers.count(("end", "")) == 2:
            break
    stopped = answers.index(("end", ""))
    assert "terminated" in dict(answers[:stopped])["error"]
    assert answers[stopped + 1 :] == [("text/plain", "42"), ("main", ""), ("end", "")]

"""What docs/local.md gives to copy does what it says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from support.local_server import Server, environment

PAGE = Path(__file__).parents[2] / "docs" / "local.md"


def test_a_file_outlives_its_session_in_a_context(server: Server, sdk: Any, tmp_path: Path) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env=environment(AGB_ENDPOINT=server.endpoint, AGB_API_KEY=server.api_key, NO_PROXY="127.0.0.1"),
        cwd=tmp_path, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == "kept\n"

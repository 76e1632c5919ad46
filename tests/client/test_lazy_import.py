from __future__ import annotations

import subprocess
import sys

import pytest

import pytest_agb


def test_importing_the_package_brings_no_httpx() -> None:
    script = "import sys, pytest_agb; sys.exit(bool({'httpx', 'pytest_agb.client'} & set(sys.modules)))"

    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_every_public_name_is_there() -> None:
    for name in pytest_agb.__all__:
        assert getattr(pytest_agb, name) is not None
        assert name in dir(pytest_agb)


def test_other_names_are_not() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        pytest_agb.nonsense  # noqa: B018

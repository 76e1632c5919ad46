from __future__ import annotations

import pytest


@pytest.fixture
def delete_seconds() -> float:
    return 3.0

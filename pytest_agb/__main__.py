"""``python -m pytest_agb`` is ``pytest-agb``."""

import sys

from pytest_agb.cli import main

sys.exit(main())

"""``python -m pytest_agb`` is ``pytest-agb``."""

import sys

from .cli import main

sys.exit(main())

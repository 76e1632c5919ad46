"""What pytest sees of us: the hooks and the fixtures.

Every pytest run in the user's environment imports this package, so it imports nothing that a run without
sessions does not need: neither httpx nor filelock nor anything of the floors below but the ground.
"""

from pytest_agb.plugin.fixtures import (
    _agb_pool,
    agb,
    agb_image,
    agb_session,
    agb_session_factory,
    agb_session_params,
)
from pytest_agb.plugin.hooks import (
    pytest_addhooks,
    pytest_addoption,
    pytest_collection_finish,
    pytest_configure,
    pytest_configure_node,
    pytest_generate_tests,
    pytest_report_collectionfinish,
    pytest_report_header,
    pytest_runtestloop,
    pytest_sessionfinish,
    pytest_testnodeready,
)

__all__ = [
    "_agb_pool",
    "agb",
    "agb_image",
    "agb_session",
    "agb_session_factory",
    "agb_session_params",
    "pytest_addhooks",
    "pytest_addoption",
    "pytest_collection_finish",
    "pytest_configure",
    "pytest_configure_node",
    "pytest_generate_tests",
    "pytest_report_collectionfinish",
    "pytest_report_header",
    "pytest_runtestloop",
    "pytest_sessionfinish",
    "pytest_testnodeready",
]

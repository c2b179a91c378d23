"""A Prefect server of the tests' own, started once a session."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from typing import Any

import pytest

from tests.pipeline.clone import SMALL, Clone

# Before prefect is imported: it makes this folder then, and reads the settings there of whoever runs the tests.
for name in [name for name in os.environ if name.startswith("PREFECT_")]:
    del os.environ[name]
os.environ["PREFECT_HOME"] = tempfile.mkdtemp(prefix="prefect-home-")
atexit.register(shutil.rmtree, os.environ["PREFECT_HOME"], ignore_errors=True)


@pytest.fixture(scope="session")
def server() -> Iterator[None]:
    """A server with an empty database; flows that are called report to it."""
    import prefect.settings
    from prefect.testing.utilities import prefect_test_harness

    changed: Any = {
        prefect.settings.PREFECT_SERVER_ANALYTICS_ENABLED: False,  # it tells nobody that it has started
        prefect.settings.PREFECT_LOGGING_TO_API_BATCH_INTERVAL: 0.1,
        prefect.settings.PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None,  # whose end a flow run waits for, up to a second
    }
    with prefect.settings.temporary_settings(changed), prefect_test_harness(server_startup_timeout=120):
        yield


@pytest.fixture(scope="session")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A clone in which nothing has run, with two folds and two kinds of annotation; not to be changed."""
    axes = {"pipeline.runs": ["prosam", "vrp-sam-point"], "pipeline.folds": [0, 2]}
    return Clone.of_working_tree(tmp_path_factory.mktemp("fresh") / "clone", SMALL | axes)

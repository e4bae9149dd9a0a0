"""Settings that all tests share."""

from __future__ import annotations

import pytest
import quick
from hypothesis import settings

# The same examples in every run, and no limit on the time of one: a busy machine is no failure.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help="leave out tests that take long or need a large package")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--quick"):
        quick.start(config)

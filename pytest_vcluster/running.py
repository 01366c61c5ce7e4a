"""The hooks of a run that has clusters; `plugin` brings them in when the first test is seen to need one.

The one rule: `activate` may be called by whoever comes first, and does its work once.
"""

from __future__ import annotations

from collections.abc import Generator

import pytest

from pytest_vcluster.failures import examine
from pytest_vcluster.leases import BOOK, Book
from pytest_vcluster.options import SETTINGS
from pytest_vcluster.summary import Recorder
from pytest_vcluster.workers import is_worker


def activate(config: pytest.Config) -> Book:
    """Have what a run with clusters needs: the book of leases, and hooks that follow the tests and end the run."""
    if BOOK not in config.stash:
        config.stash[BOOK] = Book(config.stash[SETTINGS])
        config.pluginmanager.register(TestWatch(config.stash[BOOK]), "vcluster-watch")
        if not is_worker(config):
            config.pluginmanager.register(Recorder(config), "vcluster-recorder")
    return config.stash[BOOK]


class TestWatch:
    """Follows each test: it is whose leases are opened meanwhile, and whose reports they complete."""

    __test__ = False

    def __init__(self, book: Book) -> None:
        self._book = book

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Know which test runs."""
        self._book.current = item
        try:
            return (yield)
        finally:
            self._book.current = None
            self._book.done(item)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Add to a report what is known of the test's clusters."""
        report = yield
        examine(item, report)
        return report

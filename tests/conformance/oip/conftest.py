"""`triton`, `mlserver` and `kserve`: real servers, one of each for a test run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conformance.environments import skip_if_told
from tests.conformance.oip.servers import Server, shared


@contextmanager
def _server(name: str, factory: pytest.TempPathFactory) -> Iterator[Server]:
    skip_if_told(name)
    base: Path = factory.getbasetemp()
    if base.name.startswith("popen-"):
        base = base.parent  # of all workers of this run
    with shared(name, base / "oip") as server:
        yield server


@pytest.fixture(scope="session")
def triton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Triton 2.51. The model `smol` is there, and not loaded."""
    with _server("triton", tmp_path_factory) as server:
        yield server


@pytest.fixture(scope="session")
def mlserver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """MLServer 1.7.1."""
    with _server("mlserver", tmp_path_factory) as server:
        yield server


@pytest.fixture(scope="session")
def kserve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """KServe 0.21."""
    with _server("kserve", tmp_path_factory) as server:
        yield server

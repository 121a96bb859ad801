"""How pyreqwest is imported."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

CODE = """
import os
from antiphon.transports.network import NetworkTransport
print(os.environ.get("MIMALLOC_ARENA_EAGER_COMMIT"))
"""


@pytest.mark.parametrize("given", [None, "2"])
def test_the_environment_is_as_it_was(given: str | None) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MIMALLOC")}
    if given is not None:
        environment["MIMALLOC_ARENA_EAGER_COMMIT"] = given
    done = subprocess.run([sys.executable, "-c", CODE], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(given)

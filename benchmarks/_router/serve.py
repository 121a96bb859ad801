"""Serve one of the applications beside this file: `python serve.py NAME PORT`. The same for all."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import uvicorn

HERE = Path(__file__).resolve().parent


def application(name: str) -> object:
    """The application of a module, which is not imported by its name: one is called as the package it measures."""
    sys.path[:] = [each for each in sys.path if each != str(HERE)]
    spec = importlib.util.spec_from_file_location(f"measured_{name}", HERE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.app


if __name__ == "__main__":
    uvicorn.run(
        application(sys.argv[1]),  # type: ignore[arg-type]
        port=int(sys.argv[2]),
        loop="uvloop",
        http="httptools",
        log_level="critical",
        access_log=False,
        backlog=8192,
    )

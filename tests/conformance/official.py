"""The official package's own suite: where it comes from, and how it is run against a server.

Its source distribution carries the suite, written against a mock that answers by schema. It runs in an environment
of its own, kept with it under `.cache/conformance/`, so that a second run needs no network.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import venv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree as ET

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache" / "conformance"
REQUIREMENTS = Path(__file__).parent / "requirements.txt"
VERSION = "3.52.0"
CASES = 8602
"""How many cases the suite of this version has."""
SKIPPED = 30
"""How many of them the suite itself leaves out."""

INI = """\
[pytest]
asyncio_mode = auto
asyncio_default_fixture_loop_scope = session
asyncio_default_test_loop_scope = session
filterwarnings = error
addopts = -q --tb=short -p no:cacheprovider -p impatient
"""

IMPATIENT = '''\
"""Clients of the suite neither retry nor wait for long: a wrong answer is seen at once."""

import openai


def impatient(cls):
    begin = cls.__init__

    def __init__(self, *args, **options):
        begin(self, *args, **{"max_retries": 0, "timeout": 20.0, **options})

    cls.__init__ = __init__


impatient(openai.OpenAI)
impatient(openai.AsyncOpenAI)
'''


class Outcome(NamedTuple):
    """What a run of the suite came to."""

    cases: int
    failed: int
    skipped: int
    output: str


def prepare() -> Path:
    """The directory with the suite and its environment, made where it is not there yet."""
    key = hashlib.sha256(REQUIREMENTS.read_bytes() + INI.encode() + IMPATIENT.encode() + b"README").hexdigest()[:16]
    home = CACHE / f"{VERSION}-{sys.version_info[0]}.{sys.version_info[1]}-{key}"
    if (home / "ready").exists():
        return home
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    venv.create(home / "venv", with_pip=True)
    python = str(home / "venv" / "bin" / "python")
    pip = [python, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    run([*pip, "install", "--require-hashes", "-r", str(REQUIREMENTS)])
    run([*pip, "download", "--no-deps", "--no-binary", "openai", f"openai=={VERSION}", "-d", str(home)])
    with tarfile.open(home / f"openai-{VERSION}.tar.gz") as archive:
        # Only the suite: what it tests is the installed package, not the source beside it.
        wanted = (f"openai-{VERSION}/tests/", f"openai-{VERSION}/README.md")
        members = [each for each in archive.getmembers() if each.name.startswith(wanted)]
        archive.extractall(home, members, filter="data")
    for name in ("tests", "README.md"):
        (home / f"openai-{VERSION}" / name).rename(home / name)
    (home / "pytest.ini").write_text(INI)
    (home / "impatient.py").write_text(IMPATIENT)
    (home / "ready").touch()
    return home


def run(command: list[str]) -> None:
    """Run a command; what it said is in the error when it fails."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{done.stdout}{done.stderr}")


def run_suite(base_url: str, scope: str = "", workers: int = 2) -> Outcome:
    """Run the suite, or what is under `scope` in it, against the server at `base_url`."""
    return run_pytest(base_url, [f"tests/api_resources/{scope}"], workers)


def run_ours(base_url: str, paths: Sequence[str], workers: int = 2, http_client: str = "ours") -> Outcome:
    """Run parts of the suite with our client in the place of the official one. Paths begin with `tests/`.

    Clients send with what ours always send with, and with httpx2 where a case mocks that; or, with `http_client`, with
    a client of httpx2. Cases that are excepted count as skipped.
    """
    # What an excepted case leaves open when it fails is closed by the garbage collector, in the middle of another.
    unclosed = "-W ignore::pytest.PytestUnraisableExceptionWarning"
    addopts = f"addopts=-q --tb=short -p no:cacheprovider -p shim.plugin {unclosed}"
    settings = {"PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(Path(__file__).parent)))}
    settings["OPENAI_TEST_HTTP_CLIENT"] = http_client
    return run_pytest(base_url, ["-o", addopts, "-rfE", *paths], workers, settings)


def run_pytest(
    base_url: str, arguments: Sequence[str], workers: int, settings: Mapping[str, str] | None = None
) -> Outcome:
    """Run pytest where the suite is, with more settings in its environment."""
    home = prepare()
    report = home / f"report-{os.getpid()}.xml"
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "PYTEST_", "COV_"))}
    more = dict(settings or {})
    environment = {
        **ours,
        **more,
        "TEST_API_BASE_URL": base_url,
        "PYTHONPATH": os.pathsep.join(filter(None, (str(home), more.get("PYTHONPATH")))),
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
        "DEFER_PYDANTIC_BUILD": "false",
    }
    command = [str(home / "venv" / "bin" / "python"), "-m", "pytest", "-n", str(workers), f"--junitxml={report}"]
    done = subprocess.run([*command, *arguments], cwd=home, env=environment, capture_output=True, text=True)
    output = done.stdout + done.stderr
    if not report.exists():
        raise RuntimeError(output)
    try:
        counted = ET.parse(report).getroot().find("testsuite")
    finally:
        report.unlink()
    assert counted is not None
    number = {name: int(counted.get(name, 0)) for name in ("tests", "failures", "errors", "skipped")}
    return Outcome(number["tests"], number["failures"] + number["errors"], number["skipped"], output)

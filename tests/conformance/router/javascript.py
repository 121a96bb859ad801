"""JavaScript clients that others wrote: where they come from, and how a script of theirs is run.

`package-lock.json` names them with the hashes of what they are, and no registry. They are installed once, under
`.cache/conformance/`, so that a second run needs no network.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
CACHE = HERE.parents[2] / ".cache" / "conformance"
NAMES = ("package.json", "package-lock.json", ".npmrc")
SKIP = "ANTIPHON_SKIP_NODE"


def missing() -> str | None:
    """What is not there to run JavaScript with, said to whoever may install it."""
    absent = [name for name in ("node", "npm") if shutil.which(name) is None]
    if not absent:
        return None
    return f"{' and '.join(absent)} not found: install Node.js 20 or newer with npm, or set {SKIP}=1 to do without"


def prepare() -> Path:
    """The directory with the packages, made where it is not there yet."""
    wanted = b"".join((HERE / name).read_bytes() for name in NAMES)
    home = CACHE / f"javascript-{hashlib.sha256(wanted).hexdigest()[:16]}"
    if not home.exists():
        # Made beside its place and moved there when it is whole: another process may be making it, too.
        making = CACHE / f"{home.name}-{os.getpid()}"
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(parents=True)
        for name in NAMES:
            shutil.copy(HERE / name, making)
        # Some ask for a newer node than distributions have, and run on it all the same.
        npm = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--engine-strict=false"]
        done = subprocess.run(npm, cwd=making, capture_output=True, text=True)
        if done.returncode:
            shutil.rmtree(making, ignore_errors=True)
            raise RuntimeError(f"{' '.join(npm)}\n{done.stdout}{done.stderr}")
        try:
            making.rename(home)
        except OSError:  # somebody else was first
            shutil.rmtree(making)
    return home


def run(script: str, *arguments: str, of: Path = HERE) -> dict[str, Any]:
    """What a script of this directory, or of another, prints: an object, as JSON."""
    home = prepare()
    # Beside its packages, which is where node looks for them; one for each process that runs it.
    place = home / f"{os.getpid()}-{script}"
    shutil.copy(of / script, place)
    environment = {**os.environ, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", "NODE_OPTIONS": ""}
    try:
        done = subprocess.run(
            ["node", str(place), *arguments], cwd=home, env=environment, capture_output=True, text=True, timeout=100
        )
    finally:
        place.unlink()
    if done.returncode:
        raise AssertionError(f"{script}: {done.stdout[-4000:]}{done.stderr[-4000:]}")
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return said

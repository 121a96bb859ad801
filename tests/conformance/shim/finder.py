"""Imports of `openai.…` answered from `antiphon.…`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from types import ModuleType

HOMES = {
    "openai": "shim.client",
    "openai._base_client": "shim.private",
    "openai._client": "shim.client",
    "openai._compat": "shim.private",
    "openai._constants": "shim.private",
    "openai._data_residency": "shim.private",
    "openai._exceptions": "antiphon.kernel.errors",
    "openai._files": "shim.private",
    "openai._legacy_response": "shim.responses",
    "openai._models": "shim.private",
    "openai._provider": "shim.clouds",
    "openai._qs": "shim.private",
    "openai._response": "shim.responses",
    "openai._streaming": "shim.responses",
    "openai._types": "shim.private",
    "openai._utils": "shim.private",
    "openai.auth": "antiphon.auth",
    "openai.helpers": "antiphon.helpers",
    "openai.lib": "antiphon.lib",
    "openai.lib._bedrock_auth": "shim.clouds",
    "openai.lib._websocket": "shim.sockets",
    "openai.lib.azure": "shim.azure",
    "openai.lib.bedrock": "shim.clouds",
    "openai.pagination": "antiphon.kernel.pages",
    "openai.providers": "antiphon.providers",
    "openai.resources": "antiphon.api",
    "openai.resources.beta.realtime.realtime": "antiphon.api.connections.beta_realtime",
    "openai.resources.beta.responses.responses": "antiphon.api.connections.beta_responses",
    "openai.resources.live.forks": "antiphon.api.connections.live_forks",
    "openai.resources.live.live": "antiphon.api.connections.live",
    "openai.resources.live.sideband": "antiphon.api.connections.live_sideband",
    "openai.resources.realtime.realtime": "antiphon.api.connections.realtime",
    "openai.resources.realtime.translations.translations": "antiphon.api.connections.realtime_translations",
    "openai.resources.responses.responses": "shim.resources",
    "openai.types": "antiphon.types",
}
"""Where a module and those below it come from: the longest name that fits counts."""


def home_of(name: str) -> str | None:
    """The module that stands for one of `openai`; `None` where there is none."""
    known, rest = name, ""
    while known not in HOMES:
        known, dot, last = known.rpartition(".")
        if not dot:
            return None
        rest = f".{last}{rest}"
    if rest and (known == "openai" or HOMES[known].startswith("shim.")):
        return None
    return HOMES[known] + rest


class StandIn(MetaPathFinder, Loader):
    """Finds every `openai.…`, and nothing else."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] != "openai":
            return None
        home = home_of(fullname)
        if home is None:
            # Said here, because the finders after this one would find the official package.
            raise ModuleNotFoundError(f"antiphon has nothing in the place of {fullname}", name=fullname)
        return spec_from_loader(fullname, self, origin=home, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        home = home_of(module.__name__)
        assert home is not None
        # Importing hands over what stands in the table of modules afterwards.
        found = sys.modules[module.__name__] = import_module(home)
        if home.startswith("antiphon.api"):
            from .resources import in_both_colours

            in_both_colours(found)


def official_modules() -> list[str]:
    """Modules of the official package that were loaded all the same."""
    return [
        name
        for name, module in list(sys.modules.items())
        if "/site-packages/openai/" in (getattr(module, "__file__", None) or "")
    ]

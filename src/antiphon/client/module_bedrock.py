"""The client behind the resources of the package where `api_type` is `amazon-bedrock`."""

from __future__ import annotations

from typing import Any

from .bedrock import BedrockOpenAI
from .module import _FILLED, _Following

__all__ = ("_BedrockModuleClient",)


class _BedrockModuleClient(_Following, BedrockOpenAI):
    # A token of Amazon's stays here: as a setting of the package it would reach OpenAI when `api_type` changes.
    _filled = tuple(name for name in _FILLED if name not in ("api_key", "admin_api_key"))
    _first: tuple[str, Any]

    def _begin(self, package: Any) -> None:
        super()._begin(package)
        vars(self)["_first"] = (self.api_key, self._who)

    def _set_api_key(self, key: Any, name: str) -> None:
        first_key, who = self._first
        vars(self)["_who"] = who if key is None else who._replace(token_provider=None)
        self.api_key = first_key if key is None else key

    def _set_admin_api_key(self, key: Any, name: str) -> None:
        """There is none for Bedrock."""

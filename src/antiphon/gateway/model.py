"""A model behind the gateway: its configuration, its servers, and the convention it follows.

What it follows may have to be asked for, so it is found with the first request and remembered.
"""

from __future__ import annotations

from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING, Final

from ..kernel.errors import APIStatusError
from .conventions import convention, recognised
from .errors import misconfigured
from .templates import template
from .toolcalls import parser

if TYPE_CHECKING:
    from ..kernel.flow import Flow
    from .config import ModelConfig
    from .conventions import Convention
    from .oip.messages import ServerMetadata
    from .oip.protocol import Oip
    from .templates import Template

__all__ = ("Model",)

_MOST_VERSIONS: Final = 64
_OTHERWISE: Final = frozenset(("model_not_found", "upstream_invalid_request"))
"""Codes of errors that may come of asking a model that is not what it was."""
_AGAIN: Final = 5.0
"""So many seconds it is taken for what it was."""


class Model:
    """One model. `servers` is what its requests are sent through: one server, or replicas of it."""

    def __init__(self, config: ModelConfig, servers: Oip) -> None:
        self.config = config
        self.servers = servers
        self.streams = config.stream != "infer" and not config.pipeline
        """Whether its server gives streams, as far as that is known."""
        self._versions: dict[str, Model] = {}
        self._looked = 0.0
        self._convention: Convention | None = None
        # What cannot be right is told before anybody asks.
        if config.convention != "auto":
            cls = convention(config.convention)
            if config.convention == "custom":
                self._convention = cls(config)
        self._template: Template | None = None if config.template is None else template(config.template)
        if config.tool_parser is not None:
            parser(config.tool_parser)

    @property
    def known(self) -> Convention | None:
        """Its convention, where it is known already."""
        return self._convention

    @property
    def template(self) -> Template:
        """How its conversations are written as prompts."""
        if self._template is None:
            self._template = template(None)
        return self._template

    def at(self, version: str | None) -> Model:
        """The model in a version of it that was asked for."""
        if version is None or version == self.config.version:
            return self
        found = self._versions.get(version)
        if found is None:
            found = Model(replace(self.config, version=version), self.servers)
            if len(self._versions) < _MOST_VERSIONS:  # versions come from callers: remember some, not all
                self._versions[version] = found
        return found

    def follows(self) -> Flow[Convention]:
        """Its convention. Raises an error where none was configured, and its tensors speak of none."""
        if self._convention is None:
            config = self.config
            self._looked = monotonic()
            metadata = yield from self.servers.metadata(config.upstream_name, config.version)
            cls = recognised(metadata) if config.convention == "auto" else convention(config.convention)
            if cls is None:
                raise misconfigured(config, metadata)
            server = yield from self._server()
            if metadata.decoupled is False and config.stream == "auto":
                self.streams = False
            self._convention = cls(config, metadata, server)
        return self._convention

    def _server(self) -> Flow[ServerMetadata | None]:
        try:
            return (yield from self.servers.server())
        except APIStatusError:  # there are servers that do not tell
            return None

    def refused(self, error: APIStatusError) -> None:
        """Be told that a request was refused: the model may have been loaded again, and be another one."""
        now = monotonic()
        if error.code in _OTHERWISE and now - self._looked > _AGAIN:
            self.forget()

    def forget(self) -> None:
        """Look at the model anew with the next request."""
        self._versions.clear()
        if self.config.convention != "custom":
            self._convention = None
        self.streams = self.config.stream != "infer" and not self.config.pipeline

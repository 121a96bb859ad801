"""A host, and what a client needs to know to call it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..kernel.errors import OpenAIError
from ..kernel.omit import omit

__all__ = ("Provider", "ProviderError")

_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


class ProviderError(OpenAIError):
    """A provider cannot be used: the file says something wrong, or the environment lacks something.

    `file` and `line` say where, where it is in a file.
    """

    def __init__(self, message: str, file: str | None = None, line: int | None = None) -> None:
        where = "" if file is None else f"{file}:{line}: " if line is not None else f"{file}: "
        super().__init__(where + message)
        self.file = file
        self.line = line


@dataclass(frozen=True, slots=True)
class Provider:
    """A host of the API. In its texts `${NAME}` is a variable of the environment, `${NAME:-else}` one with a default;
    in headers `${api_key}` is the key.

    `api_key` is looked up under `key_names`, or `{NAME}_API_KEY`, where it is not given.
    """

    name: str
    base_url: str
    api_key: str | None = None
    key_names: tuple[str, ...] = ()
    """The variables that may hold the key, first found first used; `{NAME}_API_KEY` unless others are said."""
    key_needed: bool = True
    """Whether the host refuses calls without a key. Hosts on one's own machine do not."""
    organization: str | None = None
    project: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    """Headers every request gets; one whose text turns out empty is left out."""
    query: Mapping[str, str] = field(default_factory=dict)
    timeout: float | None = None
    max_retries: int | None = None
    file: str | None = None
    """Where it is said, for errors."""
    line: int | None = None

    def key(self, environ: Mapping[str, str] | None = None) -> str | None:
        """The API key, or `None` where there is none."""
        known = os.environ if environ is None else environ
        if self.api_key is not None:
            return self._filled(self.api_key, known) or None
        return next((value for name in self.variables if (value := known.get(name))), None)

    @property
    def variables(self) -> tuple[str, ...]:
        """The variables of the environment that may hold the key."""
        return self.key_names or (re.sub(r"\W", "_", self.name).upper() + "_API_KEY",)

    def options(self, environ: Mapping[str, str] | None = None) -> dict[str, Any]:
        """The arguments that make a client. Raises `ProviderError` where the environment lacks something."""
        known = os.environ if environ is None else environ
        key = self.key(known)
        if key is None and self.key_needed:
            raise self._error(f"provider '{self.name}' needs a key: set {' or '.join(self.variables)}")
        # What is not said is not left to be looked up: what the environment holds for OpenAI is nobody else's business.
        options: dict[str, Any] = {
            "base_url": re.sub(r"(?<!:)//+", "/", self._filled(self.base_url, known)),
            "api_key": key or "none",
            "admin_api_key": "",
        }
        headers: dict[str, Any] = {}
        for name, said in (("organization", self.organization), ("project", self.project)):
            filled = "" if said is None else self._filled(said, known)
            if filled:
                options[name] = filled
            else:
                headers[f"openai-{name}"] = omit
        with_key = {**known, "api_key": key or ""}
        headers.update({name: text for name, value in self.headers.items() if (text := self._filled(value, with_key))})
        options["default_headers"] = headers
        if self.query:
            options["default_query"] = {name: self._filled(value, known) for name, value in self.query.items()}
        if self.timeout is not None:
            options["timeout"] = self.timeout
        if self.max_retries is not None:
            options["max_retries"] = self.max_retries
        return options

    def _filled(self, text: str, environ: Mapping[str, str]) -> str:
        def value(found: re.Match[str]) -> str:
            name, default = found[1], found[2]
            said = environ.get(name) or default
            if said is None and name in environ:
                said = ""
            if said is None:
                raise self._error(f"provider '{self.name}' needs the variable {name}, which is not set")
            return said

        return _VARIABLE.sub(value, text)

    def _error(self, message: str) -> ProviderError:
        return ProviderError(message, self.file, self.line)

    def __repr__(self) -> str:
        return f"<provider {self.name} at {self.base_url}>"

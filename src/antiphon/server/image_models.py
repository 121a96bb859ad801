"""What each family of image models takes: sizes, qualities, parameters. Chosen by the model's name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..kernel.errors import BadRequestError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ("UNLIMITED", "Family", "default_model", "family", "listed")

SQUARES = ("256x256", "512x512", "1024x1024")
LEGACY_SIZES = (*SQUARES, "1024x1792", "1792x1024")
STANDARD = ("1024x1024", "1024x1536", "1536x1024")

_GPT_ONLY = frozenset((
    "background",
    "complexity",
    "frame_count",
    "frame_duration_ms",
    "input_fidelity",
    "markup",
    "moderation",
    "output_compression",
    "output_format",
    "partial_images",
    "stream",
    "svg",
))  # fmt: skip
"""Parameters that the DALL·E models do not know."""


@dataclass(frozen=True, slots=True)
class Family:
    """Models that take the same parameters."""

    sizes: tuple[str, ...] = ()
    """Sizes by name; empty where only the rules for free sizes hold."""
    any_size: bool = False
    """Whether `WIDTHxHEIGHT` may be chosen freely."""
    grid: int = 1
    """What both sides of a freely chosen size have to be divisible by."""
    pixels: tuple[int, int] = (1, 3840 * 3840)
    """Fewest and most pixels of a freely chosen size."""
    auto: bool = True
    """Whether the size may be `auto`."""
    qualities: tuple[str, ...] = ("low", "medium", "high", "auto")
    prompt: int = 32_000
    """Most characters of a prompt."""
    most: int = 10
    """Most pictures in one request; ten, or one."""
    gpt: bool = True
    """Whether the answer says format, quality, size and usage, as that of the GPT image models does."""
    files: bool = False
    """Whether pictures may be left at the server, to be fetched by their address."""
    links: bool = True
    """Whether that is done with them where the request does not say."""
    unknown: frozenset[str] = frozenset()
    """Parameters the family does not know."""
    revises: bool = False
    """Whether the prompt is rewritten, and the answer says how."""

    def check(self, body: Mapping[str, Any], *, lenient: bool) -> None:
        """Raise `BadRequestError` for what the family does not take. `lenient` passes over unknown parameters."""
        if not lenient:
            for name in body:
                if name in self.unknown and body[name] is not None:
                    raise BadRequestError.because(f"Unknown parameter: '{name}'.", param=name, code="unknown_parameter")
        prompt = body.get("prompt")
        if prompt is not None:
            self._check_prompt(prompt)
        count = body.get("n")
        if count is not None and count > self.most:
            raise BadRequestError.because("You must provide n=1 for this model.")
        quality = body.get("quality")
        if quality is not None and quality not in self.qualities:
            raise _not_one_of("quality", quality, self.qualities)

    def _check_prompt(self, prompt: str) -> None:
        if not prompt:
            raise BadRequestError.because(
                "Invalid 'prompt': empty string. Expected a string with minimum length 1, but got an empty string "
                "instead.",
                param="prompt",
                code="empty_string",
            )
        if len(prompt) > self.prompt:
            raise BadRequestError.because(
                f"Invalid 'prompt': string too long. Expected a string with maximum length {self.prompt}, "
                f"but got a string with length {len(prompt)} instead.",
                param="prompt",
                code="string_above_max_length",
            )

    def size(self, asked: str | None, of: tuple[int, int] | None = None) -> tuple[int, int]:
        """Width and height for the size asked for; `auto` is the standard size most like `of`.

        Raises `BadRequestError` for a size the family does not have.
        """
        if asked is None or (asked == "auto" and self.auto):
            if of is None or not self.gpt:
                return 1024, 1024
            return min(map(_pair, STANDARD), key=lambda size: abs(size[0] / size[1] - of[0] / of[1]))
        if asked in self.sizes:
            return _pair(asked)
        if self.any_size:
            return self._free(asked)
        if self.gpt:
            raise _not_one_of("size", asked, (*self.sizes, "auto"))
        if asked in LEGACY_SIZES:
            raise BadRequestError.because("The size is not supported by this model.", code="invalid_size")
        raise BadRequestError.because(f"'{asked}' is not one of {list(LEGACY_SIZES)} - 'size'")

    def _free(self, asked: str) -> tuple[int, int]:
        sides = asked.split("x")
        if len(sides) != 2 or not all(side.isascii() and side.isdigit() and len(side) < 6 for side in sides):
            raise _invalid_size(asked, "Expected 'auto' or a size in the form WIDTHxHEIGHT.")
        width, height = int(sides[0]), int(sides[1])
        if width < 1 or height < 1:
            raise _invalid_size(asked, "Width and height must be at least 1.")
        if width % self.grid or height % self.grid:
            raise _invalid_size(asked, f"Width and height must both be divisible by {self.grid}.")
        if self.grid > 1 and not 1 / 3 <= width / height <= 3:
            raise _invalid_size(asked, "The aspect ratio must be between 1:3 and 3:1.")
        if max(width, height) > 3840:
            raise _invalid_size(asked, "The longest edge must be at most 3840 pixels.")
        fewest, most = self.pixels
        if not fewest <= width * height <= most:
            raise _invalid_size(asked, f"The number of pixels must be between {fewest} and {most}.")
        return width, height


_GPT_UNKNOWN = frozenset(("response_format", "style"))
_GPT_1 = Family(sizes=STANDARD, unknown=_GPT_UNKNOWN)
_GPT_2 = Family(sizes=STANDARD, any_size=True, grid=16, pixels=(655_360, 8_294_400), unknown=_GPT_UNKNOWN)
_GPT_25 = Family(
    sizes=STANDARD,
    any_size=True,
    grid=16,
    pixels=(655_360, 8_294_400),
    qualities=("low", "medium", "high", "xhigh", "max", "auto"),
    unknown=_GPT_UNKNOWN,
)
_OTHER = Family(
    any_size=True, qualities=("low", "medium", "high", "xhigh", "max", "auto", "standard", "hd"), files=True
)
"""Models that are not OpenAI's: whatever a request can say is taken."""

UNLIMITED = Family(
    any_size=True, qualities=_OTHER.qualities, prompt=1 << 31, most=1 << 31, gpt=False, files=True, links=False
)
"""Models whose limits are known to whoever serves them."""

FAMILIES = {
    "dall-e-2": Family(
        sizes=SQUARES,
        auto=False,
        qualities=("standard", "auto"),
        prompt=1000,
        gpt=False,
        files=True,
        unknown=_GPT_ONLY | {"style"},
    ),
    "dall-e-3": Family(
        sizes=("1024x1024", "1792x1024", "1024x1792"),
        auto=False,
        qualities=("standard", "hd", "auto"),
        prompt=4000,
        most=1,
        gpt=False,
        files=True,
        unknown=_GPT_ONLY,
        revises=True,
    ),
}
"""Families of one model."""

BEGINNINGS = {
    "gpt-image-2.5": _GPT_25,
    "gpt-image-2.6": _GPT_25,
    "gpt-image-2": _GPT_2,
    "gpt-image-": _GPT_1,
    "chatgpt-image": _GPT_1,
}
"""Families by how the names of their models begin; the first that fits."""


def family(model: str) -> Family:
    """The family a model belongs to."""
    return FAMILIES.get(model) or next(
        (found for beginning, found in BEGINNINGS.items() if model.startswith(beginning)), _OTHER
    )


def default_model(body: Mapping[str, Any]) -> str:
    """The model where none is named: `dall-e-2`, unless something is asked that only GPT image models know."""
    asks = any(name in _GPT_ONLY and value is not None for name, value in body.items())
    gpt_only = (
        asks
        or body.get("size") in ("auto", "1024x1536", "1536x1024")
        or body.get("quality") in ("low", "medium", "high")
    )
    return "gpt-image-1" if gpt_only else "dall-e-2"


def listed(names: Iterable[str]) -> str:
    """Names as the API lists them: `'a', 'b', and 'c'`."""
    quoted = [f"'{name}'" for name in names]
    return " and ".join(quoted) if len(quoted) < 3 else f"{', '.join(quoted[:-1])}, and {quoted[-1]}"


def _not_one_of(param: str, value: str, allowed: tuple[str, ...]) -> BadRequestError:
    return BadRequestError.because(
        f"Invalid value: '{value}'. Supported values are: {listed(allowed)}.", param=param, code="invalid_value"
    )


def _invalid_size(asked: str, why: str) -> BadRequestError:
    return BadRequestError.because(f"Invalid size '{asked}'. {why}", param="size", code="invalid_value")


def _pair(size: str) -> tuple[int, int]:
    width, _, height = size.partition("x")
    return int(width), int(height)

"""Pictures as plain data: a sky, discs and outlines in the unit square, made up from a prompt and a seed.

A scene knows no size and no file format. `images.py` paints it, or writes it as SVG.
"""

from __future__ import annotations

from colorsys import hls_to_rgb
from hashlib import sha256
from math import pi, sin
from random import Random
from re import findall
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ("Colour", "Disc", "Outline", "Scene", "compose")

Colour: TypeAlias = tuple[int, int, int, int]
"""Red, green, blue, opacity; 0 to 255."""


class Disc(NamedTuple):
    """A circle. The radius is in parts of the shorter side, the centre in parts of both sides."""

    x: float
    y: float
    radius: float
    colour: Colour


class Outline(NamedTuple):
    """A filled outline."""

    points: list[tuple[float, float]]
    colour: Colour


class Scene(NamedTuple):
    """A picture. The sky goes from the first colour at the top over the second to the third at the bottom."""

    sky: tuple[Colour, Colour, Colour]
    shapes: list[Disc | Outline]


HUES = {
    "red": 0.0, "rose": 0.95, "pink": 0.92, "orange": 0.07, "autumn": 0.07, "fire": 0.04, "sunset": 0.06,
    "gold": 0.12, "golden": 0.12, "yellow": 0.14, "desert": 0.1, "sand": 0.11, "sun": 0.12, "green": 0.35,
    "forest": 0.36,
    "grass": 0.3, "jungle": 0.38, "teal": 0.49, "sea": 0.53, "ocean": 0.55, "water": 0.54, "otter": 0.56,
    "blue": 0.6, "sky": 0.57, "ice": 0.54, "winter": 0.58, "snow": 0.57, "indigo": 0.68, "purple": 0.77,
    "violet": 0.76, "magenta": 0.85,
}  # fmt: skip
"""Words of a prompt that settle the colour of its picture: positions on the colour wheel, 0 to 1."""

DARK = frozenset(("night", "dark", "midnight", "space", "stars", "starry", "moon", "galaxy", "noir"))


def compose(prompt: str, seed: int | str = 0, detail: float = 1.0) -> Scene:
    """The scene for a prompt; always the same for the same prompt and seed. `detail` multiplies what is in it."""
    random = Random(int.from_bytes(sha256(f"{seed}\0{prompt}".encode("utf-8", "replace")).digest(), "big"))
    words = findall(r"\w+", prompt.lower())
    named = next((HUES[word] for word in words if word in HUES), None)
    hue, chance = random.random(), random.random()
    night = not DARK.isdisjoint(words) or (named is None and chance < 0.2)
    hue = hue if named is None else named
    return random.choice(_KINDS)(random, hue, night, detail)


def _colour(hue: float, light: float, strength: float, opacity: int = 255) -> Colour:
    red, green, blue = hls_to_rgb(hue % 1, min(max(light, 0), 1), min(max(strength, 0), 1))
    return round(red * 255), round(green * 255), round(blue * 255), opacity


def _sky(random: Random, hue: float, night: bool) -> tuple[Colour, Colour, Colour]:
    turn = random.choice((-0.09, 0.08, 0.12))
    if night:
        return _colour(hue + 0.05, 0.05, 0.5), _colour(hue, 0.14, 0.5), _colour(hue + turn, 0.36, 0.45)
    return _colour(hue, 0.52, 0.55), _colour(hue + turn / 2, 0.7, 0.6), _colour(hue + turn, 0.87, 0.75)


def _light(random: Random, hue: float, night: bool) -> list[Disc | Outline]:
    """A sun or a moon with its glow, and at night the stars."""
    x, y, radius = random.uniform(0.15, 0.85), random.uniform(0.14, 0.42), random.uniform(0.05, 0.1)
    body = _colour(0.13, 0.9, 0.5) if night else _colour(hue + 0.05, 0.95, 0.8)
    shapes: list[Disc | Outline] = []
    if night:
        for _ in range(90):
            star = (255, 255, 255, random.randint(60, 230))
            shapes.append(Disc(random.random(), random.random() ** 1.5 * 0.7, random.uniform(0.0008, 0.0025), star))
    shapes += [Disc(x, y, radius * (4.2 - step), (*body[:3], 14 + 6 * step)) for step in (0, 1, 2)]
    shapes.append(Disc(x, y, radius, body))
    return shapes


def _ridge(random: Random, height: float, rough: float, steps: int) -> list[tuple[float, float]]:
    waves = [
        (rough / octave**1.15, octave * random.uniform(0.8, 1.3), random.random() * 2 * pi)
        for octave in (1, 2, 4, 9, 17)
    ]
    points: list[tuple[float, float]] = []
    for step in range(steps + 1):
        x = step / steps
        y = height + sum(size * sin(2 * pi * turns * x + start) for size, turns, start in waves)
        points.append((x, y + random.uniform(-rough, rough) * 0.05))
    return [*points, (1.0, 1.0), (0.0, 1.0)]


def _hills(random: Random, hue: float, night: bool, detail: float) -> Scene:
    sky = _sky(random, hue, night)
    shapes = _light(random, hue, night)
    count = max(2, round(random.randint(4, 6) * detail))
    rough = random.uniform(0.035, 0.07)
    for at in range(count):
        near = (at + 1) / count
        light = (0.3 - 0.26 * near) if night else (0.72 - 0.55 * near)
        colour = _colour(hue + 0.06 * (1 - near) + 0.02, light, 0.3 + 0.15 * near)
        shapes.append(Outline(_ridge(random, 0.46 + 0.46 * near**1.2 - 0.06, rough * (1.1 - 0.4 * near), 160), colour))
    return Scene(sky, shapes)


def _water(random: Random, hue: float, night: bool, detail: float) -> Scene:
    sky = _sky(random, hue, night)
    shapes = _light(random, hue, night)
    sun = shapes[-1]
    shore = random.uniform(0.5, 0.6)
    far = _colour(hue + 0.03, 0.16 if night else 0.5, 0.3)
    shapes.append(Outline(_ridge(random, shore - 0.05, 0.05, 160), far))
    top, bottom = _colour(hue, 0.2 if night else 0.62, 0.5), _colour(hue + 0.04, 0.07 if night else 0.3, 0.55)
    bands = 24
    for band in range(bands):
        part = band / (bands - 1)
        red, green, blue = (round(a + (b - a) * part) for a, b in zip(top[:3], bottom[:3], strict=True))
        y = shore + (1 - shore) * (band / bands) ** 1.4
        shapes.append(Outline([(0, y), (1, y), (1, 1), (0, 1)], (red, green, blue, 255)))
    if isinstance(sun, Disc):
        for _ in range(round(46 * detail)):
            depth = random.random() ** 1.3
            y = shore + 0.01 + depth * (0.98 - shore)
            wide, thick = random.uniform(0.008, 0.05) * (0.5 + depth), 0.0012 + 0.003 * depth
            x = sun.x + random.gauss(0, 0.02 + 0.06 * depth)
            glint = [(x - wide, y), (x, y - thick), (x + wide, y), (x, y + thick)]
            shapes.append(Outline(glint, (*sun.colour[:3], random.randint(70, 190))))
    return Scene(sky, shapes)


def _orbs(random: Random, hue: float, night: bool, detail: float) -> Scene:
    sky = _sky(random, hue, night)
    shapes: list[Disc | Outline] = []
    for _ in range(round(38 * detail)):
        size = random.random() ** 2.2 * 0.3 + 0.012
        tint = _colour(hue + random.gauss(0, 0.1), random.uniform(0.3, 0.75), 0.65, random.randint(50, 150))
        x, y = random.random(), random.random()
        shapes.append(Disc(x, y, size, tint))
        if random.random() < 0.35:
            shapes.append(Disc(x, y, size * 0.55, (*tint[:3], 120)))
    for at in range(3):
        ribbon = _ridge(random, 0.25 + 0.25 * at, 0.1, 120)[:-2]
        under = [(x, y + 0.02 + 0.012 * at) for x, y in reversed(ribbon)]
        shapes.append(Outline([*ribbon, *under], _colour(hue + 0.5, 0.65, 0.6, 130)))
    return Scene(sky, shapes)


_KINDS: tuple[Callable[[Random, float, bool, float], Scene], ...] = (_hills, _water, _hills, _orbs)

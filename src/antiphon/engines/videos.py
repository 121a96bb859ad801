"""Videos without a model: what pictures show, and a ball that bounces across it.

    Engines(videos=DrawnVideos())
    Engines(videos=VideoFunction(lambda prompt: my_mp4))

They are MP4 files of the asked size and length that play anywhere. Needs pillow, which is part of `antiphon[server]`.
"""

from __future__ import annotations

from math import pi, sin
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple, TypeAlias

from ..kernel.flow import Call
from ..server.engine import Shot
from ..server.films import film
from ..server.pictures import decoded, encoded
from .h264 import Coder, Planes
from .images import captioned, fitted, painted
from .scenes import compose
from .wrapping import Wrapped, wrapped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from PIL.Image import Image

    from ..kernel.flow import Flow
    from ..server.engine import VideoEngine, VideoRequest

__all__ = ("DrawnVideos", "VideoFunction", "video_engine")

Size: TypeAlias = tuple[int, int]
Box: TypeAlias = tuple[int, int, int, int]

RATE: Final = 24
"""Frames a second."""
_MOVES: Final = 3
"""Every how many frames the ball is elsewhere."""
_TILES: Final = 5
"""Pictures side by side on a sheet, which has one for each half of a second."""
_TILE: Final = 256
"""The longer side of such a picture, in pixels."""
_SQUARE: Final = 4
"""Pixels of a video, across and down, that are one in what is drawn for it."""


class DrawnVideos:
    """Films the scene that is a picture's, always the same for a prompt and a seed.

    The ball crosses it in the time it lasts. What was remixed or edited shines through; what was extended is as it was,
    and goes on with another scene. A picture that the video
    was to begin with lies below. A thumbnail is the first frame, as WebP; a sheet has a frame for each half second, and
    is a JPEG.
    """

    never_blocks: ClassVar[bool] = True

    def __init__(self, seed: int | str = 0, *, caption: bool = True) -> None:
        """`caption`: whether the prompt is written on the video."""
        self.seed = seed
        self.caption = caption

    def __call__(self, request: VideoRequest) -> Flow[bytes]:
        """The file. Raises `ValueError` for a picture to begin with that cannot be read."""
        file: bytes = yield Call(self.draw, request)
        return file

    def draw(self, request: VideoRequest) -> bytes:
        """The file, made here and now: in 50 to 300 ms."""
        return _DRAW[request.variant](self, request)

    def _film(self, request: VideoRequest) -> bytes:
        coder = Coder(request.width, request.height, RATE)
        size = _SQUARE * coder.columns, _SQUARE * coder.rows
        frames: list[bytes] = []
        stills: list[int] = []
        for place, shot in enumerate(_shots(request)):
            begin = len(frames)
            stills.append(begin)
            scene = self._scene(request, place, size)
            shown: Box | None = None
            for at in range(begin, begin + shot.seconds * RATE):
                if at > begin and (at - begin) % _MOVES:
                    frames.append(coder.moved())
                    continue
                ball = _ball((at - begin) / RATE, shot.seconds, size)
                box = ball.box(size, _SQUARE)
                if at == begin:
                    frames.append(coder.still(_planes(ball.on(scene, (0, 0, *size)))))
                else:
                    # Where it was is as it was before; where it is now may lie over that.
                    part = box if shown is None else _around(box, shown)
                    frames.append(coder.moved(_planes(ball.on(scene, part)), (part[0] // _SQUARE, part[1] // _SQUARE)))
                shown = box
        return film(frames, coder.parameters, (request.width, request.height), rate=RATE, stills=stills)

    def _thumbnail(self, request: VideoRequest) -> bytes:
        size = request.width, request.height
        ball = _ball(0, _shots(request)[0].seconds, size)
        return encoded([ball.on(self._scene(request, 0, size), (0, 0, *size))], "webp", 80)

    def _sheet(self, request: VideoRequest) -> bytes:
        import PIL.Image

        scale = _TILE / max(request.width, request.height)
        size = max(1, round(request.width * scale)), max(1, round(request.height * scale))
        count = max(1, 2 * request.seconds)
        across = min(count, _TILES)
        sheet = PIL.Image.new("RGB", (size[0] * across, size[1] * -(-count // across)))
        scenes = [self._scene(request, place, size) for place in range(len(_shots(request)))]
        for at in range(count):
            place, begin, shot = _at(request, at / 2)
            tile = _ball(at / 2 - begin, shot.seconds, size).on(scenes[place], (0, 0, *size))
            sheet.paste(tile, (at % across * size[0], at // across * size[1]))
        return encoded([sheet], "jpeg", 75)

    def _scene(self, request: VideoRequest, place: int, size: Size) -> Image:
        """What a part of the video shows, without the ball."""
        import PIL.Image

        shot = _shots(request)[place]
        # Edges are smooth in what is drawn larger; what is large anyway is sharp enough.
        factor = 2 if max(size) <= _SMALL else 1
        large = size[0] * factor, size[1] * factor
        image: Image | None = None
        if request.reference is not None and place == 0:
            image = fitted(decoded(request.reference), large).convert("RGB")
        for prompt in shot.prompts[-_LAYERS:] or ("",):
            layer = painted(compose(prompt, self.seed), large)
            image = layer if image is None else PIL.Image.blend(image, layer, 0.65)
        assert image is not None
        drawn = image.reduce(factor)
        return captioned(drawn, shot.prompts[-1]) if self.caption and shot.prompts else drawn


_SMALL: Final = 640
"""Pixels of a side up to which a picture is drawn twice as large, and made smaller then."""
_LAYERS: Final = 3
"""How many prompts of a part are seen: that it was made of and last edited with."""

_DRAW: Final[dict[str, Callable[[DrawnVideos, VideoRequest], bytes]]] = {
    "video": DrawnVideos._film,
    "thumbnail": DrawnVideos._thumbnail,
    "spritesheet": DrawnVideos._sheet,
}


def _shots(request: VideoRequest) -> list[Shot]:
    """The parts of a video, which last as long as it does: the last of them as long as is left."""
    found: list[Shot] = []
    left = request.seconds
    for shot in request.shots:
        if left > 0 < shot.seconds:
            found.append(shot._replace(seconds=min(shot.seconds, left)))
            left -= shot.seconds
    if not found:
        return [Shot(request.seconds, (request.prompt,))]
    if left > 0:
        found[-1] = found[-1]._replace(seconds=found[-1].seconds + left)
    return found


def _at(request: VideoRequest, seconds: float) -> tuple[int, int, Shot]:
    """Which part of a video is shown after so many seconds: its place, when it began, and it."""
    begin = 0
    for place, shot in enumerate(_shots(request)):
        if seconds < begin + shot.seconds:
            return place, begin, shot
        begin += shot.seconds
    raise ValueError(f"the video of {request.seconds} seconds has nothing at {seconds:g}")


class _Ball(NamedTuple):
    """Where the ball is, in pixels of what is drawn."""

    x: float
    y: float
    radius: float

    def box(self, size: Size, grid: int) -> Box:
        """The part of a picture that has it in it: left, top, right and bottom on a grid."""
        x, y, reach = self.x, self.y, self.radius + 1
        return (
            max(0, int(x - reach) // grid * grid),
            max(0, int(y - reach) // grid * grid),
            min(size[0], -(-int(x + reach + 1) // grid) * grid),
            min(size[1], -(-int(y + reach + 1) // grid) * grid),
        )

    def on(self, scene: Image, part: Box) -> Image:
        """A part of a scene with it."""
        import PIL.Image
        from PIL import ImageDraw

        image = scene.crop(part)
        box = self.box(scene.size, 1)
        width, height = box[2] - box[0], box[3] - box[1]
        if width <= 0 or height <= 0:
            return image
        for colour, radius, up in _BALL:
            mask = PIL.Image.new("L", (_FINE * width, _FINE * height))
            x, y = _FINE * (self.x - box[0]), _FINE * (self.y - box[1] - up * self.radius)
            reach = _FINE * self.radius * radius
            ImageDraw.Draw(mask).ellipse((x - reach, y - reach, x + reach, y + reach), 255)
            image.paste(colour, (box[0] - part[0], box[1] - part[1]), mask.reduce(_FINE))
        return image


_FINE: Final = 4
"""How much larger the ball is drawn, for its edge to be smooth."""
_BALL: Final = (((40, 40, 60), 1.0, 0.0), ((250, 214, 76), 0.86, 0.0), ((255, 246, 200), 0.35, 0.35))
"""The discs it is made of: colour, radius in parts of its own, and how far above the middle."""


def _ball(seconds: float, whole: float, size: Size) -> _Ball:
    """The ball after so many seconds of those that a part lasts. It bounces twice in three of them."""
    width, height = size
    radius = max(0.04 * min(size), 1.5)
    part = seconds / whole if whole else 0.0
    high = 0.35 * abs(sin(pi * seconds * 2 / 3))
    return _Ball((0.06 + 0.88 * part) * width, (0.72 - high) * height, radius)


def _around(one: Box, other: Box) -> Box:
    return min(one[0], other[0]), min(one[1], other[1]), max(one[2], other[2]), max(one[3], other[3])


def _planes(image: Image) -> Planes:
    """A picture whose sides are multiples of a macroblock's, as brightness and colours."""
    luma, blue, red = image.convert("RGB", _BT709).split()
    return Planes(image.width // _SQUARE, luma.tobytes(), blue.reduce(2).tobytes(), red.reduce(2).tobytes())


def _matrix() -> Iterator[float]:
    """How brightness and colours follow from red, green and blue (ITU-R BT.709, not of the whole range)."""
    red, green, blue = 0.2126, 0.7152, 0.0722
    yield from (each * 219 / 255 for each in (red, green, blue))
    yield 16
    yield from (each * 224 / 255 / (2 - 2 * blue) for each in (-red, -green, 1 - blue))
    yield 128
    yield from (each * 224 / 255 / (2 - 2 * red) for each in (1 - red, -green, -blue))
    yield 128


_BT709: Final = tuple(_matrix())


class VideoFunction(Wrapped):
    """An engine made of a function from a prompt to a video: the bytes of a file, or its path.

    The function may block or be async. Thumbnails and sheets are drawn, unless its first parameter is named `request`:
    then it gets the whole `VideoRequest`, for these as well.
    """

    def __call__(self, request: VideoRequest) -> Flow[bytes]:
        if request.variant != "video" and not self._takes_request:
            return (yield from DrawnVideos()(request))
        found = yield from self._asked(request, request.prompt)
        if isinstance(found, Path):
            read: bytes = yield Call(found.read_bytes)
            return read
        if not isinstance(found, (bytes, bytearray)):
            raise TypeError(f"a function of videos gives the bytes of a file, or its path, not {found!r:.80}")
        return bytes(found)


def video_engine(source: object = None, *, seed: int | str = 0) -> VideoEngine:
    """The engine that `source` stands for: an engine, a function of a prompt, or none for `DrawnVideos`.

    What has a true attribute `never_blocks`, or yields steps, is an engine; any other callable is a function. Raises
    `TypeError` for what cannot be called.
    """
    if source is None:
        return DrawnVideos(seed)
    return wrapped(source, VideoFunction, "a video engine is a function of a prompt")

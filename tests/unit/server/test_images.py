"""`POST /images/…` through the front door: real files, by every way the API gives them."""

from __future__ import annotations

import base64
import io
import time
from collections.abc import Callable
from typing import Any

import openai
import pytest
from PIL import Image

from antiphon.engines.images import DrawnImages, ImageFunction, image_engine
from antiphon.kernel.http import Headers, Request, Response
from antiphon.server.app import Server
from antiphon.server.engine import Engines, ImageRequest
from tests.unit.server.sdk import Answer, ask, official, official_async, serve

GPT = "gpt-image-1.5"
FREE = "gpt-image-2.5-flare"
PROMPT = "A red fox in the snow"
UNKNOWN = "unknown_parameter"


@pytest.fixture
def server() -> Server:
    return serve(Engines(images=DrawnImages()))


@pytest.fixture
def client(server: Server) -> openai.OpenAI:
    return official(server)


def generate(server: Server, **body: Any) -> Answer:
    return ask(server, "POST", "/images/generations", {"prompt": PROMPT, **body})


def refused(answer: Answer) -> tuple[str, str | None, str | None]:
    assert answer.status == 400, answer.body
    error = answer.json["error"]
    assert error["type"] == "invalid_request_error"
    return error["message"], error["param"], error["code"]


def picture(item: Any) -> Any:
    """The picture of an item of an answer, of the official SDK's or of JSON."""
    text = item["b64_json"] if isinstance(item, dict) else item.b64_json
    image = Image.open(io.BytesIO(base64.b64decode(text)))
    image.load()
    return image


def get(server: Server, url: str, method: str = "GET") -> Response:
    path = "/" + url.split("/", 3)[3]
    response = server(Request(method, path))
    assert isinstance(response, Response)
    return response


def png(size: tuple[int, int] = (64, 64), colour: Any = (200, 30, 30), mode: str = "RGB", format: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.new(mode, size, colour).save(file, format)
    return file.getvalue()


# Generations


@pytest.mark.parametrize(
    ("model", "size"),
    [
        ("dall-e-2", "256x256"),
        ("dall-e-2", "512x512"),
        ("dall-e-2", "1024x1024"),
        ("dall-e-3", "1024x1024"),
        ("dall-e-3", "1792x1024"),
        ("dall-e-3", "1024x1792"),
        ("gpt-image-1", "1024x1024"),
        ("gpt-image-1-mini", "1536x1024"),
        (GPT, "1024x1536"),
        ("gpt-image-2", "1536x864"),
        (FREE, "1024x640"),
        ("chatgpt-image-latest", "1024x1024"),
        ("my-own", "333x77"),
    ],
)
def test_every_size_of_a_model(server: Server, model: str, size: str) -> None:
    legacy = {"response_format": "b64_json"} if model.startswith(("dall-e", "my")) else {}
    body = generate(server, model=model, size=size, **legacy).json
    image = picture(body["data"][0])
    assert (image.format, image.mode) == ("PNG", "RGB")
    assert f"{image.width}x{image.height}" == size
    assert len(image.getcolors(1 << 24)) > 50  # a picture, not a blank sheet


@pytest.mark.parametrize(
    ("model", "size", "error"),
    [
        ("dall-e-2", "1792x1024", ("The size is not supported by this model.", None, "invalid_size")),
        ("dall-e-3", "256x256", ("The size is not supported by this model.", None, "invalid_size")),
        (
            "dall-e-3",
            "auto",
            ("'auto' is not one of ['256x256', '512x512', '1024x1024', '1024x1792', '1792x1024'] - 'size'", None, None),
        ),
        (
            GPT,
            "512x512",
            (
                "Invalid value: '512x512'. Supported values are: '1024x1024', '1024x1536', '1536x1024', and 'auto'.",
                "size",
                "invalid_value",
            ),
        ),
        (
            FREE,
            "1792x936",
            ("Invalid size '1792x936'. Width and height must both be divisible by 16.", "size", "invalid_value"),
        ),
        (
            FREE,
            "3200x960",
            ("Invalid size '3200x960'. The aspect ratio must be between 1:3 and 3:1.", "size", "invalid_value"),
        ),
        (
            FREE,
            "3856x2048",
            ("Invalid size '3856x2048'. The longest edge must be at most 3840 pixels.", "size", "invalid_value"),
        ),
        (
            FREE,
            "256x256",
            (
                "Invalid size '256x256'. The number of pixels must be between 655360 and 8294400.",
                "size",
                "invalid_value",
            ),
        ),
        (FREE, "0x0", ("Invalid size '0x0'. Width and height must be at least 1.", "size", "invalid_value")),
        (
            FREE,
            "big",
            ("Invalid size 'big'. Expected 'auto' or a size in the form WIDTHxHEIGHT.", "size", "invalid_value"),
        ),
    ],
)
def test_other_sizes_are_refused(server: Server, model: str, size: str, error: Any) -> None:
    assert refused(generate(server, model=model, size=size)) == error


def test_addresses_lead_to_the_pictures_on_the_same_server(server: Server) -> None:
    request = Request(
        "POST",
        "/v1/images/generations",
        headers=Headers({"authorization": "Bearer x", "content-type": "application/json"}),
        body=b'{"prompt":"A fox","size":"256x256","n":2}',
        origin="http://127.0.0.1:45674",
    )
    answer = server(request)
    if not isinstance(answer, Response):
        from antiphon.kernel.flow import run

        answer = run(answer, server.world)
    body = answer.json()
    assert set(body) == {"created", "data"}
    urls = [item["url"] for item in body["data"]]
    assert all(url.startswith("http://127.0.0.1:45674/") and url.endswith(".png") for url in urls)
    assert len(set(urls)) == 2
    found = [get(server, url) for url in urls]
    assert [response.headers["content-type"] for response in found] == ["image/png", "image/png"]
    assert found[0].content != found[1].content  # n pictures are n different ones
    assert Image.open(io.BytesIO(found[0].content)).size == (256, 256)
    head = get(server, urls[0], "HEAD")
    assert (head.status, head.content, head.headers["content-length"]) == (200, b"", str(len(found[0].content)))
    assert get(server, urls[0] + "x").status == 404


def test_without_a_model_it_is_the_oldest_unless_something_newer_is_asked_for(server: Server) -> None:
    assert "url" in generate(server).json["data"][0]
    assert generate(server, size="256x256").status == 200
    for newer in ({"background": "opaque"}, {"size": "auto"}, {"quality": "low"}, {"output_format": "webp"}):
        assert "b64_json" in generate(server, **newer).json["data"][0]


def test_dall_e_3_rewrites_the_prompt_and_draws_one(server: Server) -> None:
    [item] = generate(server, model="dall-e-3", style="natural").json["data"]
    assert PROMPT in item["revised_prompt"]
    assert item["url"]
    vivid = generate(server, model="dall-e-3", quality="hd", response_format="b64_json").json["data"][0]
    assert vivid["revised_prompt"] != item["revised_prompt"]
    assert refused(generate(server, model="dall-e-3", n=2))[0] == "You must provide n=1 for this model."


def test_gpt_image_models_tell_what_they_did(client: openai.OpenAI) -> None:
    answer = client.images.generate(model=GPT, prompt=PROMPT, quality="medium", n=2, user="u-1", background="auto")
    assert answer.data is not None
    assert len(answer.data) == 2
    assert answer.data[0].url is None
    assert (answer.background, answer.output_format, answer.quality, answer.size) == (
        "opaque",
        "png",
        "medium",
        "1024x1024",
    )
    assert answer.safety_identifier == "u-1"
    usage = answer.usage
    assert usage is not None
    assert usage.input_tokens == usage.input_tokens_details.text_tokens == 6
    assert usage.output_tokens == 2 * 1056
    assert usage.total_tokens == 6 + 2112
    assert usage.output_tokens_details is not None
    assert usage.output_tokens_details.image_tokens == 2112


@pytest.mark.parametrize(
    ("options", "tokens", "quality"),
    [
        ({"model": GPT, "quality": "low"}, 272, "low"),
        ({"model": GPT, "size": "1024x1536"}, 6240, "high"),
        ({"model": FREE, "quality": "max"}, 16640, "max"),
        ({"model": FREE, "quality": "xhigh", "size": "1024x640"}, 5200, "xhigh"),
        ({"model": "mine", "quality": "standard", "size": "512x512"}, 264, "medium"),
    ],
)
def test_tokens_by_quality_and_size(server: Server, options: Any, tokens: int, quality: str) -> None:
    body = generate(server, **options).json
    assert body["usage"]["output_tokens"] == tokens
    assert body["quality"] == quality


def test_formats(server: Server) -> None:
    webp = generate(server, model=GPT, output_format="webp").json
    assert picture(webp["data"][0]).format == "WEBP"
    assert webp["output_format"] == "webp"
    jpeg = generate(server, model=GPT, output_format="jpeg").json["data"][0]
    small = generate(server, model=GPT, output_format="jpeg", output_compression=10).json["data"][0]
    assert picture(jpeg).format == picture(small).format == "JPEG"
    assert len(small["b64_json"]) < len(jpeg["b64_json"]) / 2
    url = generate(server, model="mine", output_format="webp", size="64x64").json["data"][0]["url"]
    assert url.endswith(".webp")
    assert get(server, url).headers["content-type"] == "image/webp"


def test_moving_and_vector_pictures(server: Server) -> None:
    gif = generate(server, model=FREE, output_format="gif", frame_count=3, frame_duration_ms=50, size="1024x640").json
    image = picture(gif["data"][0])
    assert (image.format, image.n_frames, image.info["duration"]) == ("GIF", 3, 50)
    svg = generate(server, model=FREE, output_format="svg").json["data"][0]
    text = base64.b64decode(svg["b64_json"]).decode()
    assert text.startswith('<svg xmlns="http://www.w3.org/2000/svg" width="1024" height="1024"')
    assert "url(#sky)" in text
    clear = generate(server, model=FREE, output_format="svg", background="transparent").json["data"][0]
    assert "url(#sky)" not in base64.b64decode(clear["b64_json"]).decode()
    for options, param in (
        ({"output_format": "gif", "frame_count": 1}, "frame_count"),
        ({"output_format": "png", "frame_count": 3}, "frame_count"),
        ({"output_format": "png", "svg": {"model": "m"}}, "svg"),
        ({"output_format": "gif", "stream": True}, "stream"),
        ({"output_format": "svg", "stream": True}, "stream"),
    ):
        assert refused(generate(server, model=FREE, **options))[1:] == (param, "invalid_value")


@pytest.mark.parametrize("format", ["png", "webp"])
def test_a_transparent_background_is_transparent(server: Server, format: str) -> None:
    body = generate(server, model=GPT, background="transparent", output_format=format).json
    assert body["background"] == "transparent"
    image = picture(body["data"][0])
    assert image.mode == "RGBA"
    low, high = image.getchannel("A").getextrema()
    assert low == 0
    assert high > 128


def test_what_does_not_go_together_is_refused(server: Server) -> None:
    assert refused(generate(server, model=GPT, background="transparent", output_format="jpeg"))[1] == "background"
    assert refused(generate(server, model=GPT, output_compression=50)) == (
        "Compression less than 100 is not supported for PNG output format.",
        "output_compression",
        "invalid_png_output_compression",
    )
    assert refused(generate(server, model=GPT, response_format="url")) == (
        "Unknown parameter: 'response_format'.",
        "response_format",
        UNKNOWN,
    )
    assert refused(generate(server, model=GPT, style="vivid"))[1:] == ("style", UNKNOWN)
    assert refused(generate(server, model="dall-e-3", background="opaque"))[1:] == ("background", UNKNOWN)
    assert refused(generate(server, model="dall-e-2", style="vivid"))[1:] == ("style", UNKNOWN)
    assert refused(generate(server, model=GPT, quality="hd")) == (
        "Invalid value: 'hd'. Supported values are: 'low', 'medium', 'high', and 'auto'.",
        "quality",
        "invalid_value",
    )
    assert refused(generate(server, model="dall-e-2", quality="hd"))[0].endswith("'standard' and 'auto'.")
    assert generate(server, model=GPT, response_format=None, style=None).status == 200
    assert refused(generate(server, model=GPT, n=11))[1:] == ("n", "integer_above_max_value")
    assert refused(generate(server, model=GPT, n=0))[1:] == ("n", "integer_below_min_value")
    assert refused(generate(server, model=GPT, output_compression=101))[1] == "output_compression"


def test_prompts_have_a_length(server: Server) -> None:
    assert refused(generate(server, prompt=""))[1:] == ("prompt", "empty_string")
    for model, most in (("dall-e-2", 1000), ("dall-e-3", 4000), (GPT, 32_000)):
        assert refused(generate(server, model=model, prompt="x" * (most + 1)))[1:] == (
            "prompt",
            "string_above_max_length",
        )
    assert generate(server, model="dall-e-2", size="256x256", prompt="x" * 1000).status == 200


def test_the_same_request_draws_the_same_picture(server: Server) -> None:
    def drawn(seed: int, prompt: str) -> bytes:
        other = serve(Engines(images=DrawnImages(seed)))
        answer = generate(other, prompt=prompt, size="256x256", response_format="b64_json")
        return base64.b64decode(answer.json["data"][0]["b64_json"])

    assert drawn(0, "a fox") == drawn(0, "a fox")
    assert len({drawn(0, "a fox"), drawn(1, "a fox"), drawn(0, "a hen")}) == 3


def test_drawing_costs_about_what_a_png_does(server: Server) -> None:
    def least(work: Callable[[], object]) -> float:
        times: list[float] = []
        for _ in range(5):
            began = time.process_time()
            work()
            times.append(time.process_time() - began)
        return min(times)

    picture = Image.open(io.BytesIO(base64.b64decode(generate(server, model=GPT).json["data"][0]["b64_json"])))
    picture.load()
    assert least(lambda: generate(server, model=GPT)) < 10 * least(lambda: picture.save(io.BytesIO(), "png"))


# Streams


def test_a_stream_shows_pictures_half_done_first(client: openai.OpenAI) -> None:
    stream = client.images.generate(model=GPT, prompt=PROMPT, stream=True, partial_images=2, quality="low", user="u")
    first, second, last = list(stream)
    assert first.type == second.type == "image_generation.partial_image"
    assert (first.partial_image_index, second.partial_image_index) == (0, 1)
    assert last.type == "image_generation.completed"
    assert (last.size, last.quality, last.background, last.output_format) == ("1024x1024", "low", "opaque", "png")
    assert last.usage.output_tokens == 272 + 200
    assert last.safety_identifier == "u"
    colours = [len(picture(event).resize((64, 64)).getcolors(1 << 16)) for event in (first, second, last)]
    assert all(picture(event).size == (1024, 1024) for event in (first, second, last))
    assert len({event.b64_json for event in (first, second, last)}) == 3
    assert all(colours)


def test_a_stream_without_partial_images_is_one_event(server: Server) -> None:
    answer = generate(server, model=GPT, stream=True, background="transparent", output_format="webp")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.body.startswith(b"event: image_generation.completed\ndata: {")
    [event] = answer.events
    assert picture(event).mode == "RGBA"


async def test_a_stream_of_edits(server: Server) -> None:
    stream = await official_async(server).images.edit(
        model=GPT,
        image=("a.png", png(), "image/png"),
        prompt="bluer",
        stream=True,
        partial_images=1,
        output_format="jpeg",
    )
    events = [event async for event in stream]
    assert [event.type for event in events] == ["image_edit.partial_image", "image_edit.completed"]
    assert picture(events[0]).format == picture(events[1]).format == "JPEG"


def test_errors_of_a_stream_come_before_it_begins(server: Server) -> None:
    assert refused(generate(server, model="dall-e-3", stream=True))[1:] == ("stream", UNKNOWN)


# Edits


def near(colour: Any, other: Any) -> bool:
    return all(abs(a - b) < 60 for a, b in zip(colour, other, strict=False))


def test_an_edit_derives_from_the_picture(client: openai.OpenAI) -> None:
    results = []
    for colour in ((200, 30, 30), (30, 30, 200)):
        answer = client.images.edit(model=GPT, image=("a.png", png(colour=colour), "image/png"), prompt="add a hat")
        assert answer.data is not None
        results.append(picture(answer.data[0]).convert("RGB").resize((1, 1)).getpixel((0, 0)))
        assert answer.usage is not None
        assert answer.usage.input_tokens_details.image_tokens == 65 + 129
    red, blue = results
    assert red[0] > blue[0] + 40
    assert blue[2] > red[2] + 40


def test_what_the_mask_keeps_stays_as_it_was(client: openai.OpenAI) -> None:
    mask = Image.new("RGBA", (64, 64), (0, 0, 0, 255))
    mask.paste((0, 0, 0, 0), (0, 0, 64, 32))  # the upper half is to be drawn anew
    file = io.BytesIO()
    mask.save(file, "PNG")
    answer = client.images.edit(
        model=GPT, image=("a.png", png(), "image/png"), mask=("m.png", file.getvalue(), "image/png"), prompt="a sky"
    )
    assert answer.data is not None
    image = picture(answer.data[0]).convert("RGB")
    assert image.size == (1024, 1024)
    assert all(image.getpixel((x, y)) == (200, 30, 30) for x in range(0, 1024, 64) for y in range(540, 1024, 60))
    above = [image.getpixel((x, y)) for x in range(100, 1000, 100) for y in range(50, 450, 100)]
    assert sum(near(colour, (200, 30, 30)) for colour in above) < len(above) / 2


def test_several_pictures_formats_and_sizes(client: openai.OpenAI) -> None:
    files = [
        ("a.jpg", png((300, 200), format="JPEG"), "image/jpeg"),
        ("b.webp", png(colour=(0, 200, 0), format="WEBP"), "image/webp"),
    ]
    answer = client.images.edit(model=GPT, image=files, prompt="together", size="auto", output_format="webp")
    assert answer.size == "1536x1024"
    assert answer.data is not None
    assert picture(answer.data[0]).size == (1536, 1024)


def test_transparency_is_kept(client: openai.OpenAI) -> None:
    file = ("a.png", png(colour=(9, 9, 9, 0), mode="RGBA"), "image/png")
    kept = client.images.edit(model=GPT, image=file, prompt="x")
    opaque = client.images.edit(model=GPT, image=file, prompt="x", background="opaque")
    assert (kept.background, opaque.background) == ("transparent", "opaque")
    assert opaque.data is not None
    assert picture(opaque.data[0]).mode == "RGB"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"image": ("a.txt", b"text", "text/plain")},
            r"Invalid file 'image': unsupported mimetype \('text/plain'\)",
        ),
        ({"image": ("a.png", b"not one", "image/png")}, "Invalid image file or mode for image 1"),
        ({"image": ("a.gif", png(format="GIF"), "image/gif")}, "Invalid image file or mode for image 1"),
        ({"image": ("a.png", png()[:-60], "image/png")}, "Invalid image file or mode for image 1"),
        (
            {
                "image": ("a.png", png(), "image/png"),
                "mask": ("m.png", png((32, 32), (0, 0, 0, 0), "RGBA"), "image/png"),
            },
            "mask size does not match image size",
        ),
        (
            {"image": ("a.png", png(), "image/png"), "mask": ("m.png", png(), "image/png")},
            "mask image missing alpha channel",
        ),
        (
            {"image": ("a.png", png(), "image/png"), "mask": ("m.png", b"x", "image/png")},
            "mask must be a PNG file",
        ),
        (
            {
                "image": ("a.png", png(), "image/png"),
                "mask": ("m.png", png(colour=(0, 0, 0, 0), mode="RGBA"), "image/png"),
                "markup": ("n.png", png(colour=(0, 0, 0, 0), mode="RGBA"), "image/png"),
            },
            "cannot be combined",
        ),
    ],
)
def test_files_that_are_no_pictures_are_refused(client: openai.OpenAI, options: Any, message: str) -> None:
    with pytest.raises(openai.BadRequestError, match=message):
        client.images.edit(model=GPT, prompt="x", **options)


def test_dall_e_2_takes_square_pngs_only(client: openai.OpenAI) -> None:
    rgba = png(colour=(1, 2, 3, 0), mode="RGBA")
    answer = client.images.edit(model="dall-e-2", image=("a.png", rgba), prompt="x", size="256x256")
    assert answer.data is not None
    assert answer.data[0].url
    with pytest.raises(openai.BadRequestError, match="must be a PNG and less than 4 MB"):
        client.images.edit(model="dall-e-2", image=("a.jpg", png(format="JPEG")), prompt="x")
    with pytest.raises(openai.BadRequestError, match=r"format must be in \['RGBA', 'LA', 'L'\], got RGB"):
        client.images.edit(model="dall-e-2", image=("a.png", png()), prompt="x")


# Variations


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_variations_derive_from_the_picture(client: openai.OpenAI, server: Server) -> None:
    answer = client.images.create_variation(image=("a.png", png()), n=2, size="256x256", response_format="b64_json")
    assert answer.data is not None
    first, second = (picture(item).convert("RGB") for item in answer.data)
    assert first.size == (256, 256)
    assert first.getpixel((9, 9)) != second.getpixel((9, 9)) != (200, 30, 30)
    grey = client.images.create_variation(
        image=("a.png", png(colour=(90, 90, 90))), size="256x256", response_format="b64_json"
    )
    assert grey.data is not None
    assert near(picture(grey.data[0]).convert("RGB").getpixel((9, 9)), (90, 90, 90))
    url = client.images.create_variation(image=("a.png", png())).data[0].url  # type: ignore[index]
    assert url is not None
    assert get(server, url).status == 200
    with pytest.raises(openai.BadRequestError, match="must be square"):
        client.images.create_variation(model="dall-e-2", image=("a.png", png((64, 32))))


# Engines


def test_a_function_is_an_engine() -> None:
    async def later(prompt: str) -> Any:
        return Image.new("RGB", (2, 3), "red")

    for function, size in ((lambda prompt: png((4, 5)), (4, 5)), (later, (2, 3))):
        server = serve(Engines(images=image_engine(function)))
        body = generate(server, response_format="b64_json", n=2).json
        assert [picture(item).size for item in body["data"]] == [size, size]
    made = Engines(images=ImageFunction(lambda prompt: b"not a picture", blocks=False))
    stream = generate(serve(made), model=GPT, stream=True, partial_images=1)
    assert [base64.b64decode(event["b64_json"]) for event in stream.events] == [b"not a picture"] * 2


def test_an_engine_is_told_what_was_asked() -> None:
    seen: list[ImageRequest] = []

    def engine(request: ImageRequest) -> list[bytes]:
        seen.append(request)
        return [b"file"] * (request.n if request.model == "mine" else 0)

    server = serve(Engines(images=engine))
    assert generate(server, model="mine", size="640x480", output_format="webp", output_compression=7, n=2).status == 200
    request = seen[0]
    assert (request.kind, request.prompt, request.n, request.width, request.height) == ("generate", PROMPT, 2, 640, 480)
    assert (request.format, request.compression, request.transparent) == ("webp", 7, False)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_engine_that_draws_too_few_is_a_server_error(caplog: Any) -> None:
    answer = generate(serve(Engines(images=lambda request: [])))
    assert answer.status == 500
    assert "gave 0 files where 1 were asked" in caplog.text


def test_engines_by_name() -> None:
    assert isinstance(image_engine(), DrawnImages)
    drawn = DrawnImages(caption=False)
    assert image_engine(drawn) is drawn


# Suites that send placeholders


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_server_that_conjures_takes_placeholders() -> None:
    server = serve(Engines(images=DrawnImages()), unknown_ids="conjure")
    client = official(server)
    answer = client.images.edit(
        image=b"Example data",
        mask=b"Example data",
        markup=b"Example data",
        prompt=PROMPT,
        model=GPT,
        response_format="url",
        frame_count=2,
        svg={"model": "x"},
    )
    assert answer.data is not None
    assert picture(answer.data[0]).size == (1024, 1024)
    assert client.images.create_variation(image=b"Example data").data

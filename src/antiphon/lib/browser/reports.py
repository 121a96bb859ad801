"""What a driver reports, looked at and copied: nothing else of it reaches the model, and nobody changes it later."""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Any, Final, cast, get_args
from urllib.parse import urlsplit

from .._runners.shapes import JSON, each, filled, flag, one_of, record
from .members import bounded, count
from .types import ReadOmission, ReadRole

if TYPE_CHECKING:
    from .types import BrowserObservationV1, BrowserState

__all__ = ("is_done", "origin_of", "result_of", "state_of")

_ID: Final = bounded(128)
_NAME: Final = bounded(256)
_VALUE: Final = bounded(512, empty=True)
_ANY_TEXT: Final = bounded(None, empty=True)
_TITLE_BYTES: Final = 1024
_ORIGIN: Final = bounded(2048)
_PORTS: Final = {"http": 80, "https": 443}


def _exact(value: Any) -> Any:
    """A string as `str` itself: a class derived from it may say something else every time."""
    return str.__str__(value) if isinstance(value, str) else value


# The state


class _Change:
    """How a kind of change looks: whether it may be of no tab, and what it says besides."""

    __slots__ = ("field", "of_no_tab", "values")

    def __init__(self, field: str = "", values: tuple[str, ...] = (), *, of_no_tab: bool = False) -> None:
        self.field, self.values, self.of_no_tab = field, values, of_no_tab


_CHANGES: Final = {
    "tab_opened": _Change(),
    "tab_closed": _Change(),
    "tab_switched": _Change(),
    "navigation": _Change(),
    "navigation_refused": _Change("reason", ("policy", "unsupported"), of_no_tab=True),
    "dialog_dismissed": _Change("kind", ("alert", "confirm", "prompt", "beforeunload", "other")),
    "download": _Change("status", ("blocked", "started", "completed", "failed"), of_no_tab=True),
}


def state_of(value: Any, previous: BrowserObservationV1 | None = None) -> BrowserState:
    """A state as the model sees it. Raises `ValueError` for one that is not as it should be.

    `previous` is what was observed before: what happened does not change afterwards.
    """
    data = _dict(value)
    observed = _observation(data["observation"]) if "observation" in data else None
    if previous is not None:
        _check_continues(previous, observed)
    tabs = [_tab(each, observed) for each in _list(data.get("tabs"))]
    if len({tab["id"] for tab in tabs}) != len(tabs) or (tabs and sum(tab["active"] for tab in tabs) != 1):
        raise ValueError("the tabs of a browser have ids of their own, and one of them is active")
    state: JSON = {"tabs": tabs} if observed is None else {"tabs": tabs, "observation": observed}
    return cast("BrowserState", state)


def _tab(value: Any, observed: JSON | None) -> JSON:
    data = _dict(value)
    tab_id, title, url = (_exact(data.get(name)) for name in ("id", "title", "url"))
    active = data.get("active")
    if not all(type(each) is str for each in (tab_id, title, url)) or type(active) is not bool:
        raise ValueError("a tab has an id, a title and a url, and is active or not")
    if observed is None:
        return {"id": tab_id, "title": title, "url": _place_of(url), "active": active}
    if not _ID(tab_id) or not _ANY_TEXT(title):
        raise ValueError("the id or the title of a tab is not valid text, or too long")
    # Cut between two characters, not inside one.
    short = title.encode()[:_TITLE_BYTES].decode(errors="ignore")
    if short != title:
        observed["title_truncated"] = True
    return {"id": tab_id, "title": short, "url": origin_of(url), "active": active}


def _observation(value: Any) -> JSON:
    data = _dict(value)
    number, dropped, truncated = (data.get(name) for name in ("sequence", "dropped_changes", "title_truncated"))
    changes = _list(data.get("changes"))
    if not one_of(1)(data.get("version")) or not count(number) or not count(dropped) or not flag(truncated):
        raise ValueError("an observation lacks a field")
    first: Any = dropped
    if number != first + len(changes):
        raise ValueError("the changes of an observation are all that were not dropped")
    return {
        "version": 1,
        "sequence": number,
        "dropped_changes": dropped,
        "title_truncated": truncated,
        "changes": [_change(change, first + place) for place, change in enumerate(changes, 1)],
    }


def _change(value: Any, number: int) -> JSON:
    data = _dict(value)
    known = _CHANGES.get(_exact(data.get("type")) if isinstance(data.get("type"), str) else "")
    if known is None or not one_of(number)(data.get("sequence")):
        raise ValueError("a change is of no kind there is, or not in its place")
    tab_id = _exact(data.get("tab_id"))
    if not _ID(tab_id) and not (known.of_no_tab and tab_id is None and "tab_id" in data):
        raise ValueError("a change is of a tab")
    change = {"type": _exact(data["type"]), "sequence": number, "tab_id": tab_id}
    if known.field:
        said = change[known.field] = _exact(data.get(known.field))
        if said not in known.values:
            raise ValueError(f"a change says its {known.field} in words of its own")
    return change


def _check_continues(before: BrowserObservationV1, now: JSON | None) -> None:
    if now is None or now["sequence"] < before["sequence"] or now["dropped_changes"] < before["dropped_changes"]:
        raise ValueError("an observation goes back in time")
    offset = now["dropped_changes"] - before["dropped_changes"]
    both = max(before["sequence"] - now["dropped_changes"], 0)
    if now["changes"][:both] != before["changes"][offset : offset + both]:
        raise ValueError("what was observed before is another now")


def _dict(value: Any) -> Any:
    if not isinstance(value, dict):
        raise ValueError("an object is missing")
    return value


def _list(value: Any) -> list[Any]:
    """The members there are at first; a list may grow while it is read."""
    if not isinstance(value, list):
        raise ValueError("a list is missing")
    return [value[place] for place in range(len(value))]


# Addresses: who is asked, without what, because that may be private


def _place_of(url: str) -> str:
    """The origin of a page, or the scheme of what is none."""
    if url == "about:blank":
        return url
    parts = urlsplit(url)
    if not parts.scheme:
        raise ValueError("an address has a scheme")
    if parts.scheme not in _PORTS:
        place = f"{parts.scheme}:"
    else:
        if not parts.hostname:
            raise ValueError("an address has a host")
        host = f"[{parts.hostname}]" if ":" in parts.hostname else _ascii(parts.hostname)
        place = f"{parts.scheme}://{host}{_port(parts.scheme, parts.port)}"
    if not _ORIGIN(place):
        raise ValueError("an address is too long")
    return place


def origin_of(url: str) -> str:
    """The origin of a page as browsers write it. Raises `ValueError` for an address that could be read otherwise."""
    if url == "about:blank":
        return url
    found = re.match(r"(https?)://([^/?#]*)", url, re.IGNORECASE) if bounded(None)(url) else None
    if found is None or not found[2] or re.search(r"[\x00-\x20\x7f\\]", found[2]):
        raise ValueError("a page has an address of http or https, or none")
    place = found[2].rpartition("@")[2]
    if "%" in place:
        raise ValueError("a host is written without escapes")
    parts = urlsplit(f"{found[1].lower()}://{place}")
    host = parts.hostname or ""
    origin = f"{parts.scheme}://{_host(host, place)}{_port(parts.scheme, parts.port)}"
    if not host or not _ORIGIN(origin):
        raise ValueError("an address has a host of some length")
    return origin


def _host(host: str, written: str) -> str:
    if ":" in host:
        return f"[{IPv6Address(host).compressed}]"
    host = _ascii(host)
    labels = host.removesuffix(".").split(".")
    if not all(re.fullmatch(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", label) for label in labels):
        raise ValueError("a host is made of labels")
    if re.fullmatch(r"[0-9]+|0x[0-9a-f]*", labels[-1]):
        # What ends in a number is an address of IPv4, and is written as one.
        host = str(IPv4Address(host))
        if written.partition(":")[0] != host:
            raise ValueError("an address of IPv4 is four numbers")
    return host


def _ascii(host: str) -> str:
    return host if host.isascii() else host.encode("idna").decode("ascii")


def _port(scheme: str, port: int | None) -> str:
    return "" if port in (None, _PORTS[scheme]) else f":{port}"


# Results


_OPTION: Final = record({"label": _NAME, "value": _VALUE})
_ELEMENT: Final = record(
    {"ref": _NAME, "role": one_of(*get_args(ReadRole)), "label": _NAME}, {"value": _VALUE, "options": each(_OPTION)}
)
_SCOPE: Final = record({"ref": _NAME, "label": _NAME})
_READ: Final = record({"version": one_of(1), "text": _ANY_TEXT, "elements": each(_ELEMENT)})
_OMITTED: Final = each(one_of(*get_args(ReadOmission)))
_WITHOUT_ELEMENTS: Final = ("get_page_text", "read_diagnostics")
_REPORTED: Final = ("read_page_scoped", "read_diagnostics")
"""Reads that are reports and never plain text."""


def _read(member: str, value: Any) -> Any:
    if member not in _REPORTED and (value is None or isinstance(value, str)):
        return value
    value = _first_look(value)
    omitted: Any = value.get("omitted") if type(value) is dict else None
    if not _READ(value) or not _OMITTED(omitted) or len(set(omitted)) != len(omitted):
        raise ValueError("a report of a page lacks something")
    if member in _WITHOUT_ELEMENTS and value["elements"]:
        raise ValueError("text has no elements")
    report: JSON = {
        "version": 1,
        "text": value["text"],
        "elements": [_element(element) for element in value["elements"]],
        "omitted": omitted,
    }
    refs = [element["ref"] for element in report["elements"]]
    if member == "read_page_scoped":
        if not each(_SCOPE)(value.get("scopes")):
            raise ValueError("a report of regions has regions")
        report["scopes"] = [{"ref": scope["ref"], "label": scope["label"]} for scope in value["scopes"]]
        refs += [scope["ref"] for scope in report["scopes"]]
    if len(set(refs)) != len(refs):
        raise ValueError("a ref is of one thing")
    return report


def _first_look(value: Any) -> Any:
    """A copy of plain lists and objects, made once: what is looked at is what is told."""
    if type(value) is list:
        return [_first_look(member) for member in value]
    if type(value) is dict:
        return {name: _first_look(member) for name, member in value.items() if type(name) is str}
    return value


def _element(element: JSON) -> JSON:
    told = {name: element[name] for name in ("ref", "role", "label")}
    if element["role"] in ("checkbox", "radio") and "checked" in element:
        told["checked"] = _flag(element["checked"])
    if "value" in element:
        told["value"] = element["value"]
    if "options" in element:
        told["options"] = [_option(element["role"], option) for option in element["options"]]
    return told


def _option(role: str, option: JSON) -> JSON:
    told = {"label": option["label"], "value": option["value"]}
    if role == "listbox" and "selected" in option:
        told["selected"] = _flag(option["selected"])
    return told


def _flag(value: Any) -> bool:
    if type(value) is not bool:
        raise ValueError("a box is checked or not")
    return value


_IMAGE: Final = ("type", "image_url", "file_id", "detail", "prompt_cache_breakpoint")


def _image(member: str, value: Any) -> JSON:
    data = _dict(value)
    image = {name: _exact(data[name]) for name in _IMAGE if name in data}
    places = [image[name] for name in ("image_url", "file_id") if image.get(name) is not None]
    detail, cached = image.get("detail"), image.get("prompt_cache_breakpoint")
    if set(data) - set(_IMAGE) or image.get("type") != "input_image" or not places or not all(map(filled, places)):
        raise ValueError("a picture is an input_image with an image_url or a file_id")
    if detail is not None and not one_of("auto", "low", "high", "original")(detail):
        raise ValueError("a picture has a detail there is")
    if cached is not None:
        if not isinstance(cached, dict) or dict(cached) != {"mode": "explicit"}:
            raise ValueError("a breakpoint of a cache is explicit")
        image["prompt_cache_breakpoint"] = {"mode": "explicit"}
    return image


def _script(member: str, value: Any) -> str:
    if not _ANY_TEXT(value):
        raise ValueError("a script gives text")
    return cast("str", value)


_OUTCOME: Final = record(
    {
        "version": one_of(1),
        "status": one_of("completed", "refused", "unknown", "interrupted"),
        "effect": one_of("completed", "none", "unknown"),
        "cleanup": one_of("not_started", "pending", "completed"),
    }
)
_EFFECTS: Final = {
    "completed": ("completed",),
    "refused": ("none",),
    "unknown": ("unknown",),
    "interrupted": ("none", "unknown"),
}


def _transfer(member: str, value: Any) -> JSON:
    outcome = _first_look(value)
    if not _OUTCOME(outcome) or len(value) != 4 or outcome["effect"] not in _EFFECTS[outcome["status"]]:
        raise ValueError("a transfer says its status, effect and cleanup")
    return {name: outcome[name] for name in ("version", "status", "effect", "cleanup")}


_RESULTS: Final[dict[str, tuple[str, Callable[[str, Any], Any]]]] = {
    **dict.fromkeys(
        ("read_page", "get_page_text", "find", *_REPORTED),
        ("Browser read report failed: it is not as it should be", _read),
    ),
    "screenshot": ("Browser screenshot has to be an input_image with at least one of image_url and file_id", _image),
    "zoom": ("Browser zoom has to give a valid input_image", _image),
    "run_script": ("Browser script result failed: it is no text", _script),
    **dict.fromkeys(
        ("upload_file", "download_file"), ("Browser file result failed: it is not as it should be", _transfer)
    ),
}
"""Members whose results are more than text, how they are read, and what is said where they cannot be."""


def result_of(member: str, value: Any) -> Any:
    """A result as it is told. Raises `RuntimeError` for one that is not as it should be: the driver is at fault."""
    if member not in _RESULTS:
        if value is not None and not isinstance(value, str):
            raise RuntimeError("Browser actions give text or nothing; this one gave something else")
        return value
    complaint, read = _RESULTS[member]
    try:
        return read(member, value)
    except Exception:
        # What went wrong may quote what is private.
        raise RuntimeError(complaint) from None


def is_done(member: str, result: Any) -> bool:
    """Whether a result says that it was done."""
    return member not in ("upload_file", "download_file") or result["status"] == "completed"

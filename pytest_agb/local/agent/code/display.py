"""What is shown of a value, by MIME type, and IPython's ``display``.

Formats are those the SDK reads; which objects offer them, and how, is as IPython documents it
(``_repr_mimebundle_``, ``_repr_html_`` and so on, ``_ipython_display_``).
"""

from __future__ import annotations

import base64
import io
import json
import os
import sys
import traceback
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

#: Characters of a result's text that an answer holds.
MAX_TEXT_CHARACTERS = 10 * 1024 * 1024

_METHODS = {
    "_repr_html_": "text/html",
    "_repr_markdown_": "text/markdown",
    "_repr_svg_": "image/svg+xml",
    "_repr_png_": "image/png",
    "_repr_jpeg_": "image/jpeg",
    "_repr_json_": "application/json",
    "_repr_latex_": "text/latex",
    "_repr_javascript_": "application/javascript",
}
_VEGA_LITE = "application/vnd.vegalite.v"
#: The charts that the SDK reads.
_READ_CHARTS = (f"{_VEGA_LITE}4+json", f"{_VEGA_LITE}5+json")


class Display:
    """Where what is shown goes: ``show`` gets the formats as bytes, and whether it is the code's value."""

    def __init__(self) -> None:
        self.show: Callable[[dict[str, bytes], bool], None] = lambda bundle, main: None

    def publish(self, bundle: dict[str, Any], *, main: bool = False) -> None:
        """Show the formats of one result."""
        self.show(
            {str(mime): _to_bytes(str(mime), data) for mime, data in bundle.items() if data is not None}, main
        )

    def value(self, value: object) -> None:
        """Show the value of the code."""
        bundle = bundle_of(value)
        if bundle is not None:
            self.publish(bundle, main=True)


target = Display()


def bundle_of(
    value: object, include: Iterable[str] | None = None, exclude: Iterable[str] | None = None
) -> dict[str, Any] | None:
    """Return all formats that ``value`` offers; ``None`` if it shows itself."""
    if isinstance(value, type):
        return {"text/plain": _cut(repr(value))}
    own = _call(value, "_ipython_display_")
    if own is not _NOT_OFFERED:
        return None
    bundle: dict[str, Any] = {}
    offered = _call(value, "_repr_mimebundle_", include=include, exclude=exclude)
    if isinstance(offered, tuple):
        offered = offered[0]
    if isinstance(offered, dict):
        bundle.update(offered)
    for method, mime in _METHODS.items():
        if mime not in bundle:
            data = _call(value, method)
            data = data[0] if isinstance(data, tuple) else data  # with metadata
            if data is not None and data is not _NOT_OFFERED:
                bundle[mime] = data
    if "image/png" not in bundle and (picture := _figure(value)) is not None:
        bundle["image/png"] = picture
    if "text/plain" not in bundle:
        bundle["text/plain"] = _plain(value)
    if isinstance(bundle["text/plain"], str):
        bundle["text/plain"] = _cut(bundle["text/plain"])
    charts = [mime for mime in bundle if mime.startswith(_VEGA_LITE)]
    if charts and not any(mime in bundle for mime in _READ_CHARTS):
        bundle[_READ_CHARTS[-1]] = bundle[charts[-1]]  # the chart itself says which version it is
    if include is not None:
        bundle = {mime: data for mime, data in bundle.items() if mime in include}
    return {mime: data for mime, data in bundle.items() if exclude is None or mime not in exclude}


def _plain(value: object) -> str:
    pretty = sys.modules.get("IPython.lib.pretty")
    if pretty is not None and hasattr(value, "_repr_pretty_"):
        return str(pretty.pretty(value))
    return repr(value)


_NOT_OFFERED = object()


def _call(value: object, method: str, **arguments: Any) -> Any:
    """Call a method that ``value`` may offer; where it fails the user is told, and other formats count."""
    try:
        function = getattr(value, method, None)
        # An object that has every attribute (a mock, a proxy) offers none of these.
        if not callable(function) or hasattr(value, "_ipython_canary_method_should_not_exist_"):
            return _NOT_OFFERED
        return function(**arguments)
    except NotImplementedError:
        return _NOT_OFFERED
    except Exception as error:
        trace = error.__traceback__
        traceback.print_exception(type(error), error, trace and trace.tb_next)  # without our own frame
        return None


def _figure(value: object) -> bytes | None:
    """Draw a matplotlib figure; ``None`` for anything else, and for one with nothing on it."""
    module = sys.modules.get("matplotlib.figure")
    if module is None or not isinstance(value, module.Figure):
        return None
    figure: Any = value
    if not figure.axes and not figure.lines:
        return None
    file = io.BytesIO()
    figure.savefig(file, format="png", bbox_inches="tight")
    return file.getvalue()


def _to_bytes(mime: str, data: Any) -> bytes:
    if mime.endswith("json"):
        # Numbers that JSON has no word for become null, what is no JSON at all its text.
        plain = json.loads(json.dumps(data, default=str), parse_constant=lambda _: None)
        return json.dumps(plain).encode()
    if isinstance(data, (bytes, bytearray)):
        return bytes(data)
    text = str(data)
    if mime.startswith("image/") and not mime.startswith("image/svg"):
        return base64.b64decode(text)  # as IPython's own images come
    return text.encode("utf-8", "backslashreplace")


def _cut(text: str) -> str:
    if len(text) <= MAX_TEXT_CHARACTERS:
        return text
    return (
        f"{text[:MAX_TEXT_CHARACTERS]}\n"
        f"[result truncated: {MAX_TEXT_CHARACTERS} of {len(text)} characters are shown]"
    )


# ---- IPython's functions: the names and arguments are IPython's ------------------------------------------


class DisplayHandle:
    """What `display` returns where it is asked for: shows again."""

    def __init__(self, display_id: str | None = None) -> None:
        self.display_id = display_id or os.urandom(16).hex()

    def display(self, obj: object, **more: Any) -> None:
        """Show ``obj``."""
        display(obj, **more)

    update = display


def display(
    *objs: object,
    include: Iterable[str] | None = None,
    exclude: Iterable[str] | None = None,
    metadata: object = None,
    transient: object = None,
    display_id: Any = None,
    raw: bool = False,
    clear: bool = False,
    **more: Any,
) -> DisplayHandle | None:
    """Show ``objs`` as results of the code; with ``raw`` they are formats by MIME type already.

    What was shown stays: results are a list, so an update is one more and nothing is cleared.
    """
    for value in objs:
        bundle = value if raw else bundle_of(value, include, exclude)
        if isinstance(bundle, dict):
            target.publish(bundle)
    return DisplayHandle(display_id if isinstance(display_id, str) else None) if display_id else None


def update_display(obj: object, *, display_id: str, **more: Any) -> None:
    """Show ``obj`` anew."""
    display(obj, **more)


def publish_display_data(data: dict[str, Any], metadata: object = None, **more: Any) -> None:
    """Show formats by MIME type."""
    target.publish(data)


def clear_output(wait: bool = False) -> None:
    """Do nothing: what was shown stays."""

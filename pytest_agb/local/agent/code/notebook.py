"""Makes notebook code at home: ``IPython.display`` with and without IPython, and matplotlib's figures.

Nothing is imported before the code imports it. An IPython that is installed keeps all it has, and only its
``display`` functions are ours; one that is not is stood in for, in what the code of notebooks uses of it.
"""

from __future__ import annotations

import html
import importlib.abc
import importlib.machinery
import json
import sys
from typing import TYPE_CHECKING, Any

from pytest_agb.local.agent.code import display as ours

if TYPE_CHECKING:
    import types
    from collections.abc import Callable, Sequence

#: The module that matplotlib loads as its backend.
_BACKEND = "agb_figures"
_FUNCTIONS = ("display", "update_display", "publish_display_data", "clear_output", "DisplayHandle")


def install() -> None:
    """Have imports find what is ours. Call it once, in the interpreter."""
    sys.meta_path.insert(0, _Patches())
    sys.meta_path.append(_StandIns())  # last: what is installed is found first
    import builtins

    builtins.display = ours.display  # type: ignore[attr-defined]


def show_figures() -> None:
    """Show and close the figures that are still open, as notebooks do at the end of a cell."""
    matplotlib, backend = sys.modules.get("matplotlib"), sys.modules.get(_BACKEND)
    if matplotlib and backend and matplotlib.get_backend() == f"module://{_BACKEND}":
        backend.show()


class _Patches(importlib.abc.MetaPathFinder):
    """Changes modules right after they are loaded."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        patch = {"IPython.core.display_functions": _patch_ipython, "matplotlib": _patch_matplotlib}.get(name)
        spec = importlib.machinery.PathFinder.find_spec(name, path) if patch else None
        if patch is None or spec is None or spec.loader is None:
            return None
        spec.loader = _Patched(spec.loader, patch)
        return spec


class _Patched(importlib.abc.Loader):
    def __init__(self, loader: importlib.abc.Loader, patch: Callable[[types.ModuleType], None]) -> None:
        self._loader, self._patch = loader, patch

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: types.ModuleType) -> None:
        self._loader.exec_module(module)
        self._patch(module)

    def __getattr__(self, name: str) -> Any:  # resources, source, ...
        return getattr(self._loader, name)


def _patch_ipython(module: types.ModuleType) -> None:
    for name in _FUNCTIONS:
        setattr(module, name, getattr(ours, name))


def _patch_matplotlib(module: types.ModuleType) -> None:
    module.use(f"module://{_BACKEND}")


class _StandIns(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the modules that are not installed."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != _BACKEND and name not in _IPYTHON:
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=name in ("IPython", "IPython.core"))

    def exec_module(self, module: types.ModuleType) -> None:
        if module.__name__ == _BACKEND:
            _make_backend(module)
        else:
            module.__dict__.update(_IPYTHON[module.__name__])


def _make_backend(module: types.ModuleType) -> None:
    from matplotlib._pylab_helpers import Gcf
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    def show(*arguments: object, **more: object) -> None:
        for manager in Gcf.get_all_fig_managers():
            figure = manager.canvas.figure
            if figure.axes or figure.lines:  # one with nothing on it says nothing
                ours.display(figure)
        Gcf.destroy_all()

    module.FigureCanvas = FigureCanvasAgg  # type: ignore[attr-defined]
    module.show = show  # type: ignore[attr-defined]


# ---- the stand-in for IPython ----------------------------------------------------------------------------


class DisplayObject:
    """Something with one format."""

    def __init__(
        self,
        data: Any = None,
        url: str | None = None,
        filename: str | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        if url is None and isinstance(data, str) and data.startswith(("http://", "https://")):
            url, data = data, None
        self.data, self.url, self.filename, self.metadata = data, url, filename, metadata or {}
        if data is None:
            self.reload()

    def reload(self) -> None:
        """Read the file, or fetch the URL."""
        if self.filename is not None:
            with open(self.filename, "rb") as file:
                self.data = self._read(file.read())
        elif self.url is not None:
            import urllib.request  # much to load, for those who use it

            with urllib.request.urlopen(self.url) as answer:  # the user's own URL, from inside the sandbox
                self.data = self._read(answer.read())

    def _read(self, data: bytes) -> Any:
        return data.decode()

    def __repr__(self) -> str:
        return f"<IPython.core.display.{type(self).__name__} object>"


def _text_kind(name: str, method: str, around: str = "{}") -> type[DisplayObject]:
    """Make a class whose data is shown as one format, with something ``around`` it."""
    return type(name, (DisplayObject,), {method: lambda self: around.format(self.data)})


class Pretty(DisplayObject):
    """Plain text."""

    def __repr__(self) -> str:
        return str(self.data)


class JSON(DisplayObject):
    """A JSON value."""

    def __init__(
        self,
        data: Any = None,
        url: str | None = None,
        filename: str | None = None,
        expanded: bool = False,
        metadata: dict[str, Any] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(data, url, filename, {"expanded": expanded, **(metadata or {})})
        if isinstance(self.data, str):
            self.data = json.loads(self.data)

    def _repr_json_(self) -> Any:
        return self.data


class Math(DisplayObject):
    """A formula, without the dollar signs."""

    def _repr_latex_(self) -> str:
        return "$\\displaystyle {}$".format(self.data.strip("$"))


class Image(DisplayObject):
    """A picture: bytes, a file or a URL."""

    def __init__(
        self,
        data: Any = None,
        url: str | None = None,
        filename: str | None = None,
        format: str | None = None,
        embed: bool | None = None,
        width: int | None = None,
        height: int | None = None,
        **more: Any,
    ) -> None:
        if isinstance(data, str) and not data.startswith(("http://", "https://")):
            data, filename = None, data
        self.embed = url is None if embed is None else embed
        self.width, self.height = width, height
        super().__init__(data, url, filename)
        if self.data is not None and not isinstance(self.data, bytes):
            raise TypeError(f"Image takes bytes, a file's name or a URL, not {type(self.data).__name__}")
        named = (format or filename or url or "").lower()
        jpeg = named.endswith(("jpeg", "jpg")) or (self.data or b"").startswith(b"\xff\xd8")
        self.format = "jpeg" if jpeg else "png"

    def reload(self) -> None:
        """Read the file, or, where it is to be embedded, fetch the URL."""
        if self.filename is not None or self.embed:
            super().reload()

    def _read(self, data: bytes) -> bytes:
        return data

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        if self.data is not None:
            return {f"image/{self.format}": self.data}
        size = "".join(f' {side}="{value}"' for side in ("width", "height") if (value := getattr(self, side)))
        return {"text/html": f'<img src="{html.escape(self.url or "")}"{size}/>'}


class IFrame:
    """Another page inside of this one."""

    def __init__(self, src: str, width: object, height: object, extras: object = None, **more: Any) -> None:
        self.src, self.width, self.height = src, width, height

    def _repr_html_(self) -> str:
        return (
            f'<iframe width="{self.width}" height="{self.height}" src="{html.escape(self.src)}" '
            f'frameborder="0" allowfullscreen></iframe>'
        )


class Code(DisplayObject):
    """A program's text."""

    def __init__(
        self, data: Any = None, url: str | None = None, filename: str | None = None, language: str = ""
    ) -> None:
        super().__init__(data, url, filename)

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self.data))}</pre>"

    def __repr__(self) -> str:
        return str(self.data)


def _display_as(mime: str) -> Callable[..., None]:
    def show(*objs: object, raw: bool = False, **more: Any) -> None:
        for value in objs:
            ours.display(
                {mime: value} if raw else value, raw=raw, include=None if raw else [mime, "text/plain"]
            )

    return show


_DISPLAY: dict[str, Any] = {
    **{name: getattr(ours, name) for name in _FUNCTIONS},
    "DisplayObject": DisplayObject,
    "TextDisplayObject": DisplayObject,
    "HTML": _text_kind("HTML", "_repr_html_"),
    "Markdown": _text_kind("Markdown", "_repr_markdown_"),
    "Latex": _text_kind("Latex", "_repr_latex_"),
    "SVG": _text_kind("SVG", "_repr_svg_"),
    "Javascript": _text_kind("Javascript", "_repr_javascript_"),
    "Math": Math,
    "Pretty": Pretty,
    "JSON": JSON,
    "Image": Image,
    "IFrame": IFrame,
    "Code": Code,
    **{
        f"display_{name}": _display_as(mime)
        for name, mime in {
            "html": "text/html", "markdown": "text/markdown", "svg": "image/svg+xml", "png": "image/png",
            "jpeg": "image/jpeg", "latex": "text/latex", "json": "application/json", "pretty": "text/plain",
            "javascript": "application/javascript",
        }.items()
    },
}  # fmt: skip
_IPYTHON: dict[str, dict[str, Any]] = {
    # matplotlib looks at the version, others at whether a shell is there.
    "IPython": {"version_info": (8, 24, 0, ""), "__version__": "8.24.0", "get_ipython": lambda: None},
    "IPython.display": _DISPLAY,
    "IPython.core": {},
    "IPython.core.display": _DISPLAY,
    "IPython.core.display_functions": _DISPLAY,
}

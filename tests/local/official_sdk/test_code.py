"""Python by the official SDK, which must not tell the difference; our client must give the same."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.local_server import IMAGE, Server
from support.official_sdk import FORMATS, told

from pytest_agb import AGB, CreateSessionParams

#: From then on no package is found that is not Python's own.
WITHOUT_PACKAGES = "import sys\nsys.path[:] = [path for path in sys.path if 'site-packages' not in path]"
PNG = b"\x89PNG\r\n\x1a\n"

Run = Callable[..., Any]


@pytest.fixture
def run(sdk_session: Any, server: Server) -> Iterator[Run]:
    """Runs code by the official SDK, and by our client in a session of its own: both must say the same."""
    with AGB(server.api_key, server.endpoint).create(CreateSessionParams(IMAGE)).check().session as ours:

        def run(code: str, language: str = "python", timeout_s: int = 60) -> Any:
            official = sdk_session.code.run(code, language, timeout_s=timeout_s)
            assert told(ours.code.run(code, language, timeout_s=timeout_s)) == told(official)
            assert official.request_id
            return official

        yield run


def formats(item: Any) -> set[str]:
    return {name for name in FORMATS if getattr(item, name) not in (None, False)}


def test_state_is_kept_and_the_last_expression_is_the_main_result(run: Run) -> None:
    assert run("x = 42\nprint('set')").logs.stdout == ["set\n"]
    result = run("import sys\nprint('to stderr', file=sys.stderr)\nx + 1")
    assert (result.result, result.logs.stderr, result.execution_count) == ("43", ["to stderr\n"], 2)
    assert [formats(item) for item in result.results] == [{"text", "is_main_result"}]
    assert 0 < result.execution_time < 30


def test_a_program_that_says_nothing_succeeds(run: Run) -> None:
    for code in ("# just a comment", "x = 1", "None"):
        result = run(code)
        assert (result.success, result.results, result.logs.stdout) == (True, [], []), code


@pytest.mark.parametrize("installed", [True, False], ids=["with IPython", "without"])
def test_displays_come_in_their_formats_and_in_their_order(run: Run, installed: bool) -> None:
    if not installed:
        run(WITHOUT_PACKAGES)
    result = run(
        "from IPython.display import HTML, JSON, SVG, Image, Latex, Markdown, Math, display\n"
        "display(HTML('<h1>one</h1>'), Markdown('# two'))\n"
        "display(SVG('<svg><circle/></svg>'))\n"
        r"display(Latex(r'\frac{1}{2}'))" + "\n"
        "display(JSON({'a': [1, None]}))\n"
        r"display(Image(data=bytes([0x89]) + b'PNG\r\n\x1a\n', format='png'))" + "\n"
        r"display(Image(data=bytes([0xff, 0xd8, 0xff]), format='jpeg'))" + "\n"
        "display('text', 5)\n"
        "'done'"
    )
    assert result.success, result.error_message
    html, markdown, svg, latex, json, png, jpeg, text, number, main = result.results
    assert (html.html, markdown.markdown, svg.svg) == ("<h1>one</h1>", "# two", "<svg><circle/></svg>")
    assert (latex.latex, json.json) == (r"\frac{1}{2}", {"a": [1, None]})
    assert (base64.b64decode(png.png), base64.b64decode(jpeg.jpeg)) == (PNG, b"\xff\xd8\xff")
    assert (text.text, number.text, main.text) == ("'text'", "5", "'done'")
    assert html.text == "<IPython.core.display.HTML object>"
    assert [item.is_main_result for item in result.results] == [False] * 9 + [True]
    assert result.result == "'done'"


@pytest.mark.parametrize("installed", [True, False], ids=["with IPython", "without"])
def test_more_of_ipython_that_notebooks_use(run: Run, installed: bool) -> None:
    if not installed:
        run(WITHOUT_PACKAGES)
    result = run(
        "from IPython.display import *\n"
        "handle = display('first', display_id=True)\n"
        "handle.update('second')\n"
        "update_display('third', display_id=handle.display_id)\n"
        "display({'text/plain': 'raw', 'text/html': '<i>'}, raw=True)\n"
        "publish_display_data({'text/plain': 'published'})\n"
        "display_html('<b>', raw=True)\n"
        "clear_output()\n"
        "display(Pretty('pretty'))\n"
        "from IPython import get_ipython\n"
        "get_ipython() is None"
    )
    assert result.success, result.error_message
    assert [item.text for item in result.results[:5]] == [
        "'first'",
        "'second'",
        "'third'",
        "raw",
        "published",
    ]
    assert (result.results[3].html, result.results[5].html) == ("<i>", "<b>")
    assert [item.text for item in result.results[6:]] == ["pretty", "True"]
    assert result.logs.stdout == []


def test_display_needs_no_import(run: Run) -> None:
    assert [item.text for item in run("display(1)\nprint('between')\ndisplay(2)").results] == ["1", "2"]


def test_objects_show_what_they_offer(run: Run) -> None:
    chart = run(
        "class Chart:\n"
        "    def _repr_mimebundle_(self, include=None, exclude=None):\n"
        "        return {'application/vnd.vegalite.v4+json': {'mark': 'bar', 'x': float('nan')}}, {}\n"
        "    def __repr__(self): return 'a chart'\n"
        "Chart()"
    ).results[0]
    assert (chart.chart, chart.text, chart.is_main_result) == ({"mark": "bar", "x": None}, "a chart", True)
    newer = run(
        "class Newer:\n"
        "    def _repr_mimebundle_(self, **_):\n"
        "        return {'application/vnd.vegalite.v6+json': {'mark': 'line'}, 'text/plain': 'newer'}\n"
        "Newer()"
    )
    assert newer.results[0].chart == {"mark": "line"}
    own = run("class Own:\n    def _ipython_display_(self): display('shows itself')\nOwn()")
    assert [item.text for item in own.results] == ["'shows itself'"]
    mock = run(
        "class Mock:\n"
        "    def __getattr__(self, name): return lambda **_: name\n"
        "    def __repr__(self): return 'has every attribute'\n"
        "Mock()"
    ).results[0]
    assert formats(mock) == {"text", "is_main_result"}
    broken = run(
        "class Broken:\n"
        "    def _repr_html_(self): return 1 / 0\n"
        "    def __repr__(self): return 'broken'\n"
        "Broken()"
    )
    assert broken.success
    assert formats(broken.results[0]) == {"text", "is_main_result"}
    assert "ZeroDivisionError" in broken.logs.stderr[0]
    assert "pytest_agb" not in broken.logs.stderr[0]


def test_figures_are_pictures(run: Run) -> None:
    result = run(
        "import matplotlib.pyplot as plt\n"
        "for _ in range(2):\n"
        "    plt.figure(figsize=(2, 1))\n"
        "    plt.plot([1, 2, 3], [1, 4, 9])\n"
        "    plt.show()\n"
        "plt.figure()\n"
        "plt.show()\n"  # nothing is on it
        "'done'"
    )
    assert result.success, result.error_message
    assert [formats(item) for item in result.results] == [
        {"text", "png"},
        {"text", "png"},
        {"text", "is_main_result"},
    ]
    assert base64.b64decode(result.results[0].png).startswith(PNG)
    # One that was not shown is shown at the end, as in a notebook.
    unshown = run("figure = plt.figure(figsize=(2, 1))\nfigure.add_subplot().plot([1, 2])\nx = 1")
    assert [formats(item) for item in unshown.results] == [{"text", "png"}]
    assert formats(run("figure").results[0]) == {"text", "png", "is_main_result"}
    # What the code asks for itself is left alone.
    assert (
        run("plt.switch_backend('svg')\nplt.plot([1])\nimport io\nplt.savefig(io.BytesIO())\nx = 1").results
        == []
    )


def test_a_figure_survives_the_error_after_it(run: Run) -> None:
    result = run("import matplotlib.pyplot as plt\n_ = plt.plot([1])\n1 / 0")
    assert not result.success
    assert [formats(item) for item in result.results] == [{"text", "png"}]


def test_an_error_is_its_traceback_with_nothing_of_ours(run: Run) -> None:
    result = run("def f():\n    return 1 / 0\nprint('before')\nf()")
    assert not result.success
    assert result.error_message == result.error.value
    assert result.error.name == "ExecutionError"
    assert result.error_message.splitlines()[0] == "Traceback (most recent call last):"
    assert result.error_message.splitlines()[-1] == "ZeroDivisionError: division by zero"
    assert "return 1 / 0" in result.error_message
    assert "pytest_agb" not in result.error_message
    assert result.logs.stdout == ["before\n"]
    shown = run("class Bad:\n    def __repr__(self): raise ValueError('no words')\ndisplay(Bad())")
    assert shown.error_message.splitlines()[-1] == "ValueError: no words"
    assert "pytest_agb" not in shown.error_message


def test_a_timeout_keeps_the_state(run: Run) -> None:
    run("x = 42")
    result = run("display('on the way')\nwhile True: pass", timeout_s=1)
    assert not result.success
    assert result.error_message.startswith("TimeoutError: the code ran longer than 1 s and was interrupted")
    assert [item.text for item in result.results] == ["'on the way'"]
    assert run("x").result == "42"


def test_code_that_ends_its_interpreter_well_is_a_success(run: Run) -> None:
    result = run("x = 1\nprint('bye', flush=True)\nimport os\nos._exit(0)")
    assert (result.success, result.logs.stdout) == (True, ["bye\n"])
    assert "variables are lost" in result.logs.stderr[0]
    assert "NameError" in run("x").error_message


def test_results_without_end_are_cut_and_say_so(sdk_session: Any) -> None:
    result = sdk_session.code.run("for _ in range(34): display('x' * 1024 * 1024)", "python")
    assert result.success
    assert len(result.results) == 31
    assert result.logs.stderr == ["[results truncated: more than 33554432 bytes in one call]\n"]


def test_big_code_arrives_whole(run: Run) -> None:
    text = "☃" * 300_000  # far more than a pipe holds
    assert run(f"len('{text}')").result == "300000"


def test_a_language_goes_by_all_its_names(run: Run) -> None:
    for name in ("PYTHON", " Python3 ", "py"):
        assert run("1 + 1", name).result == "2"


def test_an_unknown_language_is_refused(sdk_session: Any) -> None:
    result = sdk_session.code.run("puts 1", "ruby")
    assert result.error_message == (
        "Unsupported language: ruby. Supported languages are java, javascript, python, r"
    )

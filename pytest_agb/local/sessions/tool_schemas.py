"""The tools of a session: one entry each says all that the server knows of a tool.

Arguments are checked by it, so the agent gets exactly the keys and types it counts on. What a tool does is in
`pytest_agb.local.agent`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

#: The longest timeout a call may ask for, in seconds. The service documents none.
MAX_TIMEOUT_SECONDS = 3600.0
_LANGUAGES = ("python", "javascript", "java", "r")

#: JSON's names of the types that arguments have.
_TYPE_NAMES: dict[type, str] = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    list: "array",
    dict: "object",
}


class ArgumentError(ValueError):
    """A tool was called with what it can't take; the message names the argument."""


@dataclass(frozen=True)
class Parameter:
    """One argument of a tool. ``required`` ones have no default."""

    kind: type
    description: str
    required: bool = True
    default: Any = None
    choices: tuple[str, ...] = ()
    #: Takes a value of the right type and returns what is wrong with it, or nothing.
    check: Callable[[Any], str] | None = None
    #: People pass secrets in it: it is not shown.
    secret: bool = False


@dataclass(frozen=True)
class Tool:
    """What a caller may ask of a session."""

    name: str
    server: str
    description: str
    parameters: dict[str, Parameter] = field(default_factory=dict)
    #: Seconds that a call may take by its own account, of its checked arguments.
    seconds: Callable[[dict[str, Any]], float] = lambda arguments: 30.0

    def schema(self) -> dict[str, Any]:
        """Return the tool as `listTools` shows it."""
        properties: dict[str, Any] = {}
        for name, parameter in self.parameters.items():
            properties[name] = {"type": _TYPE_NAMES[parameter.kind], "description": parameter.description}
            if parameter.choices:
                properties[name]["enum"] = list(parameter.choices)
        return {
            "name": self.name,
            "description": self.description,
            "inputSchema": {
                "type": "object",
                "properties": properties,
                "required": [name for name, parameter in self.parameters.items() if parameter.required],
            },
            "server": self.server,
            "tool": self.name,
        }


def _no_negative(number: int) -> str:
    return "must not be negative" if number < 0 else ""


def _timeout(per_second: int) -> Callable[[float], str]:
    limit = MAX_TIMEOUT_SECONDS * per_second

    def check(value: float) -> str:
        return "" if 0 < value <= limit else f"must be between 0 and {limit:.0f}, not {value}"

    return check


def _no_nul(text: str) -> str:
    return "must not contain NUL" if "\0" in text else ""


def _strings(items: list[Any]) -> str:
    return "" if all(isinstance(item, str) for item in items) else "must be an array of strings"


def _environment(envs: dict[str, Any]) -> str:
    for name, value in envs.items():
        if not isinstance(value, str) or not name or "=" in name or "\0" in name + value:
            return "must map names to strings"
    return ""


def _edits(edits: list[Any]) -> str:
    for edit in edits:
        if not isinstance(edit, dict) or not all(
            isinstance(edit.get(key), str) for key in ("oldText", "newText")
        ):
            return "must be an array of {oldText, newText}"
        if not edit["oldText"]:
            return "has an edit whose 'oldText' is empty"
    return ""


_PATH = Parameter(str, "Absolute, or relative to the home directory")
_TOOLS = (
    Tool(
        "run_code",
        "wuying_codespace",
        "Run code; variables are kept between calls",
        {
            "code": Parameter(str, "The program"),
            "language": Parameter(str, "python, javascript, java or r", choices=_LANGUAGES),
            "timeout_s": Parameter(
                float,
                "Seconds until the code is interrupted",
                required=False,
                default=60.0,
                check=_timeout(per_second=1),
            ),
        },
        lambda arguments: float(arguments["timeout_s"]),
    ),
    Tool(
        "shell",
        "wuying_shell",
        "Run a command in a new shell",
        {
            "command": Parameter(str, "The command line", check=_no_nul),
            "timeout_ms": Parameter(
                int,
                "Milliseconds until it is killed",
                required=False,
                default=1000,
                check=_timeout(per_second=1000),
            ),
            "cwd": Parameter(str, "Working directory", required=False),
            "envs": Parameter(dict, "Environment variables", required=False, check=_environment, secret=True),
        },
        lambda arguments: arguments["timeout_ms"] / 1000,
    ),
    Tool("get_file_info", "wuying_filesystem", "Describe a file or directory", {"path": _PATH}),
    Tool(
        "read_file",
        "wuying_filesystem",
        "Read a file or a slice of it",
        {
            "path": _PATH,
            "offset": Parameter(int, "First byte", required=False, default=0, check=_no_negative),
            "length": Parameter(
                int, "Number of bytes; absent: to the end", required=False, check=_no_negative
            ),
            "format": Parameter(
                str, "binary: base64", required=False, default="text", choices=("text", "binary")
            ),
        },
    ),
    Tool(
        "write_file",
        "wuying_filesystem",
        "Write text to a file",
        {
            "path": _PATH,
            "content": Parameter(str, "The text"),
            "mode": Parameter(
                str, "How", required=False, default="overwrite", choices=("overwrite", "append", "create_new")
            ),
        },
    ),
    Tool("list_directory", "wuying_filesystem", "List a directory", {"path": _PATH}),
    Tool("create_directory", "wuying_filesystem", "Make a directory and its parents", {"path": _PATH}),
    Tool("delete_file", "wuying_filesystem", "Delete a file", {"path": _PATH}),
    Tool("move_file", "wuying_filesystem", "Move or rename", {"source": _PATH, "destination": _PATH}),
    Tool(
        "edit_file",
        "wuying_filesystem",
        "Replace text in a file",
        {
            "path": _PATH,
            "edits": Parameter(list, "[{oldText, newText}]", check=_edits),
            "dryRun": Parameter(bool, "Only show the difference", required=False, default=False),
        },
    ),
    Tool(
        "search_files",
        "wuying_filesystem",
        "Find files by glob pattern",
        {
            "path": _PATH,
            "pattern": Parameter(str, "*.txt, src/**/*.py"),
            "excludePatterns": Parameter(
                list, "What to leave out", required=False, default=(), check=_strings
            ),
        },
    ),
    Tool(
        "read_multiple_files",
        "wuying_filesystem",
        "Read several text files",
        {"paths": Parameter(list, "The paths", check=_strings)},
    ),
    Tool(
        "get_file_change",
        "wuying_filesystem",
        "Tell what changed below a directory since the last call",
        {"path": _PATH},
    ),
    Tool("get_metrics", "wuying_system", "Describe the load"),
)
TOOLS = {tool.name: tool for tool in _TOOLS}
#: The arguments of any tool that are not shown.
SECRETS = {name for tool in _TOOLS for name, parameter in tool.parameters.items() if parameter.secret}

#: What the service's other images have: the tools that agbcloud-sdk 0.12 calls for a browser ...
_BROWSER_TOOLS = ("page_use_", "stopChrome")
#: ... and for a desktop or a phone.
_DESKTOP_TOOLS = (
    "system_screenshot", "screenshot", "get_screen_size", "list_root_windows", "get_active_window",
    "activate_window", "close_window", "maximize_window", "minimize_window", "restore_window",
    "resize_window", "fullscreen_window", "focus_mode", "click_mouse", "move_mouse", "drag_mouse", "scroll",
    "get_cursor_position", "input_text", "press_keys", "release_keys", "get_installed_apps",
    "list_visible_apps", "start_app", "stop_app_by_pname", "stop_app_by_pid", "stop_app_by_cmd",
    "tap", "swipe", "send_key", "get_ui_elements", "get_clickable_ui_elements", "get_all_ui_elements",
)  # fmt: skip


def not_here(what: str) -> str:
    """Return the words for something that the service has and this machine has not."""
    return (
        f"{what} is not available on the local backend, which has no browser, desktop or phone. "
        f"Set AGB_API_KEY to run this in the AGB cloud."
    )


def check(name: str, given: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments with defaults, of the right types; unknown keys are left out.

    Raises:
        ArgumentError: something is missing or can't be used; or the tool is not found.
    """
    tool = TOOLS.get(name)
    if name.startswith(_BROWSER_TOOLS) or name in _DESKTOP_TOOLS:
        raise ArgumentError(not_here(f"Tool [{name}]"))
    if tool is None:
        raise ArgumentError(f"Tool [{name}] is not found; there are {', '.join(sorted(TOOLS))}")
    arguments: dict[str, Any] = {}
    for key, parameter in tool.parameters.items():
        value = given.get(key)
        if value is None:
            if parameter.required:
                raise ArgumentError(f"{name}: argument {key!r} is missing")
            if parameter.default is not None:
                value = parameter.default
                arguments[key] = list(value) if isinstance(value, tuple) else value
            else:
                arguments[key] = {} if parameter.kind is dict else None
            continue
        arguments[key] = _convert(f"{name}: argument {key!r}", value, parameter)
    return arguments


def _convert(what: str, value: Any, parameter: Parameter) -> Any:
    kind = parameter.kind
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        try:
            value = float(value)
        except OverflowError:
            raise ArgumentError(f"{what} is too large") from None
    if kind is int and isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        shown = type(value).__name__ if parameter.secret else f"{value!r:.100}"
        raise ArgumentError(f"{what} must be of type {_TYPE_NAMES[kind]}, not {shown}")
    if parameter.choices and value not in parameter.choices:
        raise ArgumentError(f"{what} must be one of {', '.join(parameter.choices)}, not {value!r:.100}")
    if parameter.check is not None and (wrong := parameter.check(value)):
        raise ArgumentError(f"{what} {wrong}")
    return value

"""The tools of a session: their schemas, and the check of what a caller gives them.

Arguments are checked here, so the agent gets exactly the keys and types it counts on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

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


@dataclass(frozen=True)
class Tool:
    """What a caller may ask of a session."""

    name: str
    server: str
    description: str
    parameters: dict[str, Parameter] = field(default_factory=dict)

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
                float, "Seconds until the code is interrupted", required=False, default=60.0
            ),
        },
    ),
    Tool(
        "shell",
        "wuying_shell",
        "Run a command in a new shell",
        {
            "command": Parameter(str, "The command line"),
            "timeout_ms": Parameter(int, "Milliseconds until it is killed", required=False, default=1000),
            "cwd": Parameter(str, "Working directory", required=False),
            "envs": Parameter(dict, "Environment variables", required=False),
        },
    ),
    Tool("get_file_info", "wuying_filesystem", "Describe a file or directory", {"path": _PATH}),
    Tool(
        "read_file",
        "wuying_filesystem",
        "Read a file or a slice of it",
        {
            "path": _PATH,
            "offset": Parameter(int, "First byte", required=False, default=0),
            "length": Parameter(int, "Number of bytes; absent: to the end", required=False),
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
            "edits": Parameter(list, "[{oldText, newText}]"),
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
            "excludePatterns": Parameter(list, "What to leave out", required=False, default=()),
        },
    ),
    Tool(
        "read_multiple_files",
        "wuying_filesystem",
        "Read several text files",
        {"paths": Parameter(list, "The paths")},
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
    _check_more(name, arguments)
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
        raise ArgumentError(f"{what} must be of type {_TYPE_NAMES[kind]}, not {_shown(what, value)}")
    if parameter.choices and value not in parameter.choices:
        raise ArgumentError(f"{what} must be one of {', '.join(parameter.choices)}, not {value!r:.100}")
    return value


def _shown(what: str, value: Any) -> str:
    # People pass secrets in environment variables.
    return type(value).__name__ if "'envs'" in what else f"{value!r:.100}"


def _check_more(name: str, arguments: dict[str, Any]) -> None:
    """Check what a type does not say."""
    for key in ("offset", "length"):
        if (arguments.get(key) or 0) < 0:
            raise ArgumentError(f"{name}: argument {key!r} must not be negative")
    for key, limit in (("timeout_s", MAX_TIMEOUT_SECONDS), ("timeout_ms", MAX_TIMEOUT_SECONDS * 1000)):
        if key in arguments and not 0 < arguments[key] <= limit:
            raise ArgumentError(
                f"{name}: argument {key!r} must be between 0 and {limit:.0f}, not {arguments[key]}"
            )
    for key in ("paths", "excludePatterns"):
        if not all(isinstance(item, str) for item in arguments.get(key) or []):
            raise ArgumentError(f"{name}: argument {key!r} must be an array of strings")
    envs = arguments.get("envs") or {}
    if not all(
        isinstance(value, str) and key and "=" not in key and "\0" not in key + value
        for key, value in envs.items()
    ):
        raise ArgumentError(f"{name}: argument 'envs' must map names to strings")
    if "\0" in (arguments.get("command") or ""):
        raise ArgumentError(f"{name}: argument 'command' must not contain NUL")
    for edit in arguments.get("edits") or []:
        if not isinstance(edit, dict) or not all(
            isinstance(edit.get(key), str) for key in ("oldText", "newText")
        ):
            raise ArgumentError(f"{name}: argument 'edits' must be an array of {{oldText, newText}}")
        if not edit["oldText"]:
            raise ArgumentError(f"{name}: an edit's 'oldText' is empty")


def timeout_seconds(name: str, arguments: dict[str, Any]) -> float:
    """Return how long the tool may take by its own account."""
    if name == "run_code":
        return float(arguments["timeout_s"])
    if name == "shell":
        return float(arguments["timeout_ms"]) / 1000
    return 30.0

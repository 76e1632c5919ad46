"""A string that does not show itself."""

from __future__ import annotations

#: Characters. What is shorter is no secret, and blotting out `1` or `on` would leave no text whole.
SHORTEST_SECRET = 4


class Secret:
    """Holds a string where ``--showlocals`` and debuggers, which print what they find, don't find it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The string itself."""
        return self._value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return "<hidden>"

"""Strings that do not show themselves, and can't be written down by accident.

Standard library only: the plugin's start-up and the local server import it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from typing import SupportsIndex


def refuse_copies(holder: object, protocol: SupportsIndex) -> NoReturn:
    """Be the ``__reduce_ex__`` of what holds a secret: pickling or copying it is an error in words.

    Raises:
        TypeError: always.
    """
    raise TypeError(
        f"{type(holder).__name__} can't be pickled or copied: it holds a key or a token. Hand over what "
        "it is made from, a session's ID for example, and make another where it is needed"
    )


#: Characters. What is shorter is no secret, and blotting out `1` or `on` would leave no text whole.
SHORTEST_SECRET = 4


class Secret:
    """Holds a string where who prints, walks, pickles or copies objects does not come by it."""

    __slots__ = ("_reveal",)

    def __init__(self, value: str) -> None:
        def reveal() -> str:
            return value

        self._reveal = reveal  # debuggers show what is in a slot, but not in a closure

    def reveal(self) -> str:
        """The string itself."""
        return self._reveal()

    __reduce_ex__ = refuse_copies

    def __bool__(self) -> bool:
        return bool(self.reveal())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other.reveal() == self.reveal()

    def __hash__(self) -> int:
        return hash(self.reveal())

    def __repr__(self) -> str:
        return "<hidden>"

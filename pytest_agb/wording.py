"""How we count for people."""


def sessions(number: int) -> str:
    """Count sessions in words."""
    return f"{number} session" + ("" if number == 1 else "s")

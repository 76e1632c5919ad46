"""An error of the service, written down for another process of the run."""

from __future__ import annotations

import json

from pytest_agb.client import AGBError, AuthenticationError, ImageNotFoundError, errors


def write(error: AGBError) -> str:
    """Write ``error`` down."""
    return json.dumps(
        {
            "kind": type(error).__name__,
            "message": error.message,
            "request_id": error.request_id,
            "code": error.code,
            "http_status": error.http_status,
            "hint": error.hint,
        }
    )


def read(text: str, remark: str = "") -> AGBError:
    """Make the error again; ``remark`` says where it comes from."""
    values = json.loads(text)
    kind = getattr(errors, values.pop("kind"), AGBError)
    message = values.pop("message")
    found: AGBError = kind(f"{message} ({remark})" if remark else message, **values)
    return found


#: The subject of what the service refuses to the key, whatever is asked for.
_ACCOUNT = "account"


def subject(error: AGBError, image: str) -> str | None:
    """What the refusal of a create of ``image`` is remembered for; ``None`` where the next may do better."""
    if isinstance(error, AuthenticationError):
        return _ACCOUNT
    if isinstance(error, ImageNotFoundError):
        return _of(image)
    return None


def subjects(image: str) -> tuple[str, str]:
    """All for which a refusal of a create of ``image`` may be remembered."""
    return _ACCOUNT, _of(image)


def _of(image: str) -> str:
    return f"image:{image}"

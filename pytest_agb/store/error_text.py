"""An error of the service as one text, for another process of the run."""

from __future__ import annotations

from json import dumps, loads

from pytest_agb.client import AGBError, errors


def write(error: AGBError) -> str:
    """Write ``error`` down."""
    return dumps(
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
    values = loads(text)
    kind = getattr(errors, values.pop("kind"), AGBError)
    message = values.pop("message")
    found: AGBError = kind(f"{message} ({remark})" if remark else message, **values)
    return found

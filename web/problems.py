"""Errors on the wire: RFC 9457 problem details. The only place that maps errors to HTTP.

`code` is stable and made for programs; `detail` is one sentence for people.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import msgspec
from aiohttp import web

from app.domain import errors

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

logger = logging.getLogger(__name__)


class BadRequest(errors.TaskledgerError):
    """The request cannot be understood."""

    code = "bad_request"


class MalformedBody(BadRequest):
    """The body is not JSON."""

    code = "malformed_json"


class BadHeader(BadRequest):
    """A header is not usable."""

    code = "bad_header"


class WrongContentType(BadRequest):
    """The body has a content type that this request does not take."""

    code = "unsupported_media_type"


class WorkerUnavailable(errors.Unavailable):
    """The worker cannot be reached, and only it knows the insight; try again later."""

    code = "worker_unavailable"


STATUS: Mapping[type[errors.TaskledgerError], int] = {
    errors.ValidationError: 400,
    BadRequest: 400,
    MalformedBody: 400,
    BadHeader: 400,
    WrongContentType: 415,
    errors.TaskNotFound: 404,
    errors.TaskExists: 409,
    errors.TaskGone: 410,
    errors.VersionMismatch: 412,
    errors.IdempotencyMismatch: 422,
    errors.OverlayFull: 503,
    errors.Contended: 503,
    errors.ReadModelBehind: 503,
    errors.TaskParked: 503,
    errors.DatabaseUnavailable: 503,
    errors.LogUnavailable: 503,
    errors.Unavailable: 503,
    errors.OutcomeUnknown: 503,
    WorkerUnavailable: 503,
}
"""HTTP status of every error that a request can meet."""

HTTP_CODES: Mapping[int, tuple[str, str]] = {
    404: ("not_found", "There is nothing at this address."),
    405: ("method_not_allowed", "This address does not take this method; the Allow header names those it takes."),
    413: ("body_too_large", "The body is larger than 256 KiB."),
    500: ("internal", "The service failed; this is a fault of ours, and it was logged."),
}
"""Codes and sentences of the errors that come from HTTP itself."""


class FieldError(msgspec.Struct, frozen=True):
    """One field that is not usable."""

    field: str
    detail: str


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The body of every error."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: list[FieldError] = []


def title_of(code: str) -> str:
    """Give the title of a code: the code in words."""
    return code.replace("_", " ").capitalize()


def problem_response(
    status: int, code: str, detail: str, field_errors: list[FieldError], headers: Mapping[str, str]
) -> web.Response:
    """Make the answer for one problem."""
    problem = Problem(
        type=f"urn:taskledger:problem:{code}",
        title=title_of(code),
        status=status,
        detail=detail,
        code=code,
        errors=field_errors,
    )
    return web.Response(
        status=status, body=msgspec.json.encode(problem), content_type="application/problem+json", headers=headers
    )


def error_response(error: errors.TaskledgerError) -> web.Response:
    """Make the answer for an error raised on purpose."""
    headers: dict[str, str] = {}
    field_errors: list[FieldError] = []
    if isinstance(error, errors.VersionMismatch):
        headers["ETag"] = f'"{error.current}"'
    if isinstance(error, errors.Unavailable | errors.OutcomeUnknown):
        headers["Retry-After"] = str(error.retry_after)
    if isinstance(error, errors.ValidationError):
        field_errors = [FieldError(problem.field, problem.problem) for problem in error.problems]
    return problem_response(STATUS[type(error)], error.code, error.detail, field_errors, headers)


@web.middleware
async def problems(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Answer every error with problem details."""
    try:
        return await handler(request)
    except errors.TaskledgerError as error:
        return error_response(error)
    except web.HTTPException as error:
        if error.status not in HTTP_CODES:
            raise
        headers = {name: error.headers[name] for name in ("Allow",) if name in error.headers}
        return problem_response(error.status, *HTTP_CODES[error.status], [], headers)
    except ConnectionError:
        raise  # the client is gone
    except Exception:
        logger.exception("a request failed", extra={"method": request.method, "route": str(request.rel_url.path)})
        return problem_response(500, *HTTP_CODES[500], [], {})

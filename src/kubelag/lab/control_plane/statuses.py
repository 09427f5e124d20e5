"""Status objects: how an API server says no. Shapes as recorded from kube-apiserver 1.20.2."""

from http import HTTPStatus

from kubelag.lab.control_plane.inventory import JsonObject

EXPIRED_MESSAGE = (
    "The provided continue parameter is too old to display a consistent list result. You can "
    "start a new list without the continue parameter, or use the continue token in this "
    "response to retrieve the remainder of the results. Continuing with the provided token "
    "results in an inconsistent list - objects that were created, modified, or deleted between "
    "the time the first chunk was returned and now may show up in the list."
)
"""Clients compare no text, people do."""


def status(
    code: HTTPStatus,
    reason: str,
    message: str,
    *,
    details: JsonObject | None = None,
    metadata: JsonObject | None = None,
) -> JsonObject:
    """A failure; without details where None is given."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": metadata or {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        **({} if details is None else {"details": details}),
        "code": int(code),
    }


def unauthorized() -> JsonObject:
    """401: neither a certificate nor a token that is known, and not anonymous either."""
    return status(HTTPStatus.UNAUTHORIZED, "Unauthorized", "Unauthorized")


def forbidden(message: str, details: JsonObject) -> JsonObject:
    """403."""
    return status(HTTPStatus.FORBIDDEN, "Forbidden", message, details=details)


def not_found(resource: str, group: str, name: str) -> JsonObject:
    """404 for one object of a known resource."""
    qualified = f"{resource}.{group}" if group else resource
    details = {"name": name, **({"group": group} if group else {}), "kind": resource}
    message = f'{qualified} "{name}" not found'
    return status(HTTPStatus.NOT_FOUND, "NotFound", message, details=details)


def no_such_resource() -> JsonObject:
    """404 for a resource that a known group-version does not have."""
    message = "the server could not find the requested resource"
    return status(HTTPStatus.NOT_FOUND, "NotFound", message, details={})


def method_not_allowed() -> JsonObject:
    """405."""
    message = "the server does not allow this method on the requested resource"
    return status(HTTPStatus.METHOD_NOT_ALLOWED, "MethodNotAllowed", message, details={})


def not_acceptable() -> JsonObject:
    """406 where not even JSON is accepted."""
    message = "406: Not Acceptable"
    return status(HTTPStatus.NOT_ACCEPTABLE, "NotAcceptable", message, details={})


def no_accepted_form() -> JsonObject:
    """406 where JSON is accepted, but only converted to something that the server has not."""
    message = "only the following media types are accepted: application/json"
    return status(HTTPStatus.NOT_ACCEPTABLE, "NotAcceptable", message)


def bad_request(message: str) -> JsonObject:
    """400."""
    return status(HTTPStatus.BAD_REQUEST, "BadRequest", message)


def expired(inconsistent_token: str) -> JsonObject:
    """410, with a token by which an inconsistent list can be continued."""
    return status(
        HTTPStatus.GONE, "Expired", EXPIRED_MESSAGE, metadata={"continue": inconsistent_token}
    )


def too_many_requests(retry_after_s: int) -> JsonObject:
    """429; the header Retry-After must come with it."""
    message = "Too many requests, please try again later."
    return status(
        HTTPStatus.TOO_MANY_REQUESTS,
        "TooManyRequests",
        message,
        details={"retryAfterSeconds": retry_after_s},
    )


def failing(code: HTTPStatus) -> JsonObject:
    """Any status that an option asks for, such as 500 or 503."""
    return status(code, code.phrase.replace(" ", ""), f"the lab answers {int(code)} here")

"""What a service refuses, with the HTTP status that says so."""

from collections.abc import Mapping


class ServiceError(Exception):
    """Refuse an operation; `errors` maps a field to what is wrong with it.

    These texts are logged: they never repeat the field's value.
    """

    status = 400
    title = "That did not work"
    # What the answer says beside it.
    headers: Mapping[str, str] = {}

    def __init__(self, message: str = "", *, errors: dict[str, str] | None = None) -> None:
        super().__init__(message or self.title)
        self.message = message or self.title
        self.errors = errors or {}


class BadRequest(ServiceError):
    title = "The request could not be understood"


class Unauthorized(ServiceError):
    status = 401
    title = "Please log in"


class Forbidden(ServiceError):
    status = 403
    title = "You may not do this"


class NotFound(ServiceError):
    status = 404
    title = "Not found"


class Conflict(ServiceError):
    status = 409
    title = "It was changed meanwhile"


class Invalid(ServiceError):
    status = 422
    title = "Please check what you entered"

"""What error pages say: what happened, and what to do next."""

from jinja2 import Environment

_TELL_US = "If it happens again, tell us the request ID below."

ADVICE = {
    400: ("The request could not be understood", "Go back, check what you entered and try again."),
    401: ("Please log in", "This needs an account. Log in and try again."),
    403: ("You may not do this", "Your account has no right to do this. Ask an administrator."),
    404: ("Nothing here", "Check the address. What you look for may have been deleted or moved."),
    405: ("That does not work here", "This address does not take this kind of request."),
    409: ("It was changed meanwhile", "Reload to see what changed, then try again."),
    413: ("That is too large", "Send less at a time: a smaller picture or a shorter text."),
    415: ("This kind of content is not accepted", "Send JSON with Content-Type: application/json."),
    422: ("Please check what you entered", "Something in it cannot be used."),
    429: ("Too many tries", "Wait a few minutes, then try again."),
    500: ("Something went wrong on our side", f"It was recorded. Try again. {_TELL_US}"),
    503: ("Not available right now", f"Wait a moment and try again. {_TELL_US}"),
}  # fmt: skip

MISSING_TABLES = (
    "The database has no tables yet",
    "Run “flask db upgrade” in the project's folder, then reload this page.",
)
# How SQLite and PostgreSQL say that a table or a column is missing.
MISSING_TABLES_SIGNS = (
    "no such table", "no such column", "UndefinedTable", "UndefinedColumn",
)  # fmt: skip

# For a failure in the error page itself; needs no template file, no route and no database.
LAST_RESORT = Environment(autoescape=True).from_string(
    '<!doctype html><html lang="en"><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
    "<title>{{ problem.title }}</title><h1>{{ problem.title }}</h1><p>{{ problem.detail }}</p>"
    "{% if request_id %}<p>Request ID: <code>{{ request_id }}</code></p>{% endif %}"
    '<p><a href="/">To the start page</a></p></html>'
)

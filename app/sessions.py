"""Flask's sessions in signed cookies, made cheap for a request that changes nothing in its own."""

from flask import Flask, Request, Response
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface, SessionMixin


def init_app(app: Flask) -> None:
    """Use these sessions; comes before every hook that asks for one."""
    app.session_interface = Sessions()


class Sessions(SecureCookieSessionInterface):
    """Do as Flask does, and leave out what it does in vain.

    It sets up a signature's check without a cookie to check, and a cookie that it does not send.
    """

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        if "HTTP_COOKIE" in request.environ and self.get_cookie_name(app) in request.cookies:
            return super().open_session(app, request)
        return self.session_class()

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        if session.modified or (session and self.should_set_cookie(app, session)):
            super().save_session(app, session, response)
        elif session.accessed:
            vary = response.headers.get("Vary")
            response.headers["Vary"] = f"{vary}, Cookie" if vary else "Cookie"

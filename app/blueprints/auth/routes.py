"""The account pages."""

from flask import (
    Blueprint,
    current_app,
    flash,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_required, logout_user

from app.blueprints.auth.forms import (
    PASSWORD_HINT,
    ChangePasswordForm,
    ForgotForm,
    Form,
    LoginForm,
    RegisterForm,
    ResetForm,
    show_problems,
)
from app.blueprints.auth.next_url import safe_next
from app.blueprints.auth.sessions import begin_session
from app.services import password_reset, user_service
from app.services.api_token_service import list_tokens
from app.services.errors import Conflict, Invalid
from app.services.throttle import REGISTER_PER_ADDRESS, network, take

bp = Blueprint("auth", __name__, url_prefix="/auth")

MAIL_SENT = (
    "If this address has an account, a mail with a link is on its way. The link works for one hour."
)
TOKEN_KEY = "reset_token"  # noqa: S105 - the name of a session key


@bp.route("/login", methods=["GET", "POST"])
def login() -> ResponseReturnValue:
    """Log in, by session cookie, and go on to `next` if it is a path of this site."""
    target = safe_next(request.args.get("next")) or _home()
    if current_user.is_authenticated:
        return redirect(target)
    # From the form only: Flask-WTF would take JSON too, whose values are no texts.
    form = LoginForm(request.form)
    if form.validate_on_submit():
        try:
            user = user_service.authenticate(
                form.email.data, form.password.data, request.remote_addr
            )
        except Invalid as error:
            show_problems(form, error)
        else:
            begin_session(user, keep=form.keep.data)
            return redirect(target)
    return _page("login", form)


@bp.route("/register", methods=["GET", "POST"])
def register() -> ResponseReturnValue:
    """Make an account and log it in."""
    if current_user.is_authenticated:
        return redirect(_home())
    form = RegisterForm(request.form)
    if form.validate_on_submit():
        take((REGISTER_PER_ADDRESS, network(request.remote_addr)))
        try:
            user = user_service.create_user(
                form.email.data, form.password.data, name=form.name.data
            )
        except Invalid as error:
            show_problems(form, error)
        else:
            user_service.log_in(user)
            begin_session(user, keep=False)
            flash("Your account is ready, and you are logged in.", "success")
            return redirect(_home())
    return _page("register", form)


@bp.post("/logout")
@login_required  # type: ignore[untyped-decorator]
def logout() -> ResponseReturnValue:
    """Log out on this device."""
    user_service.log_out(current_user._get_current_object())
    logout_user()
    session.clear()
    flash("You are logged out.", "success")
    return redirect(url_for("auth.login"))


@bp.route("/password", methods=["GET", "POST"])
@login_required  # type: ignore[untyped-decorator]
def change_password() -> ResponseReturnValue:
    """Change the password; other devices are logged out."""
    form = ChangePasswordForm(request.form)
    if form.validate_on_submit():
        user = current_user._get_current_object()
        try:
            user_service.change_password(user, form.current.data, form.password.data)
        except (Invalid, Conflict) as error:
            show_problems(form, error)
        else:
            begin_session(user, keep=session.permanent)
            flash("Your password is changed. You are logged out on all other devices.", "success")
            if list_tokens(user):
                # Programs should survive a change of password; a thief's token should not.
                flash("Your API tokens still work. Revoke those that you do not know.", "warning")
            return redirect(url_for("account.show"))
    return _page("change_password", form)


@bp.route("/forgot", methods=["GET", "POST"])
def forgot() -> ResponseReturnValue:
    """Mail a link to set a new password; the answer never tells whether there is an account."""
    form = ForgotForm(request.form)
    # Without a mail server the page only says so, and nothing is promised.
    if current_app.config["SMTP_HOST"] and form.validate_on_submit():
        link = _reset_link if _site() else None
        password_reset.request_reset(form.email.data, request.remote_addr, link)
        flash(MAIL_SENT, "success")
        return redirect(url_for("auth.login"))
    return _page("forgot", form)


@bp.route("/reset", methods=["GET", "POST"])
def reset() -> ResponseReturnValue:
    """Set a new password with the link from the mail."""
    if "token" in request.args:
        # Out of the address at once: browsers keep addresses and show them to other people.
        session[TOKEN_KEY] = request.args["token"][:500]
        return redirect(url_for("auth.reset"))
    form = ResetForm(request.form)
    token = session.get(TOKEN_KEY, "")
    try:
        user = password_reset.user_of_token(token)
        if form.validate_on_submit():
            password_reset.reset_password(token, form.password.data)
            session.clear()
            flash("Your new password is set. Please log in with it.", "success")
            return redirect(url_for("auth.login"))
    except (Invalid, Conflict) as error:
        show_problems(form, error)
        if "password" not in error.errors:
            return _link_is_void()
    return _page("reset", form, account=user.email)


def _page(name: str, form: Form, status: int | None = None, **more: str) -> ResponseReturnValue:
    page = render_template(f"auth/{name}.html", form=form, password_hint=PASSWORD_HINT, **more)
    return page, status or (422 if form.is_submitted() else 200)


def _link_is_void() -> ResponseReturnValue:
    session.pop(TOKEN_KEY, None)
    form = ForgotForm(None)
    form.form_errors.append("This link no longer works. Ask for a new one.")
    return _page("forgot", form, status=422)


def _home() -> str:
    # An application without the items has a start page of its own.
    return url_for("items.index") if "items.index" in current_app.view_functions else "/"


def _site() -> str:
    """Return the address of this site for use in mails, or "" if nobody vouches for it."""
    config = current_app.config
    if config["PUBLIC_URL"]:
        return str(config["PUBLIC_URL"]).rstrip("/")
    # Whoever asks chooses the Host header: a mail that believed it would send the owner's token
    # to a stranger's site.
    vouched_for = config["TRUSTED_HOSTS"] or config["APP_ENV"] != "production"
    return request.host_url.rstrip("/") if vouched_for else ""


def _reset_link(token: str) -> str:
    return _site() + url_for("auth.reset", token=token)

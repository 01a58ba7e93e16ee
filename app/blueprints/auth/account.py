"""One's own account: who one is, and the API tokens with which programs act for one."""

from flask import Blueprint, current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_required

from app.blueprints.auth.forms import TokenForm, show_problems
from app.services import api_token_service
from app.services.errors import Invalid, NotFound

bp = Blueprint("account", __name__, url_prefix="/account")


@bp.get("")
@login_required  # type: ignore[untyped-decorator]
def show() -> ResponseReturnValue:
    """Show the account and its tokens."""
    return _page(TokenForm(None))


@bp.post("/tokens")
@login_required  # type: ignore[untyped-decorator]
def create_token() -> ResponseReturnValue:
    """Make a token and show it: here, in the answer itself, and nowhere ever again.

    A redirect would have to keep it somewhere meanwhile. The answer is kept by no cache.
    """
    form = TokenForm(request.form)
    if form.validate_on_submit():
        user = current_user._get_current_object()
        try:
            token, plain = api_token_service.create_token(user, form.name.data, form.lifetime())
        except Invalid as error:
            show_problems(form, error)
        else:
            return _page(TokenForm(None), made=token, plain=plain), 201
    return _page(form), 422


@bp.post("/tokens/<int:token_id>/revoke")
@login_required  # type: ignore[untyped-decorator]
def revoke_token(token_id: int) -> ResponseReturnValue:
    """End one of one's own tokens."""
    try:
        token = api_token_service.revoke_token(token_id, current_user._get_current_object())
    except NotFound:
        flash("That token was revoked before.", "info")
    else:
        flash(f"The token “{token.name}” is revoked and no longer works.", "success")
    return redirect(url_for("account.show"))


def _page(form: TokenForm, **made: object) -> str:
    site = current_app.config["PUBLIC_URL"] or request.host_url
    return render_template(
        "auth/account.html",
        form=form,
        tokens=api_token_service.list_tokens(current_user._get_current_object()),
        site=site.rstrip("/"),
        **made,
    )

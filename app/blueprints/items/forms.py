"""The forms of items. What they accept is the services' business: see item_rules."""

import re
from collections.abc import Mapping
from typing import Any

from flask_wtf import FlaskForm
from flask_wtf.file import FileField
from werkzeug.datastructures import FileStorage
from wtforms import BooleanField, HiddenField, StringField, TextAreaField
from wtforms.widgets import NumberInput

from app.services.item_rules import (
    CATEGORY_MAX,
    DESCRIPTION_MAX,
    FIELDS,
    NAME_MAX,
    QUANTITY_MAX,
)

_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,12}", re.ASCII)


class ItemForm(FlaskForm):  # type: ignore[misc]
    name = StringField(
        "Name", render_kw={"required": True, "maxlength": NAME_MAX, "autocomplete": "off"}
    )
    category = StringField("Category", render_kw={"maxlength": CATEGORY_MAX})
    quantity = StringField(
        "Quantity",
        default="1",
        widget=NumberInput(step=1, min=0, max=QUANTITY_MAX),
        render_kw={"required": True, "inputmode": "numeric"},
    )
    description = TextAreaField("Description", render_kw={"rows": 6, "maxlength": DESCRIPTION_MAX})
    image = FileField("Picture", render_kw={"accept": "image/jpeg,image/png,image/webp,image/gif"})
    without_image = BooleanField("Remove the picture")
    version = HiddenField()

    def values(self) -> dict[str, Any]:
        """Return what was sent, as the service takes it: a page knows only text."""
        sent = {name: self[name].data for name in FIELDS if self[name].raw_data}
        return {name: _number(sent[name]) if name == "quantity" else sent[name] for name in sent}

    def read_version(self) -> Any:
        """Return the version that the editor saw."""
        return _number(self.version.data) if self.version.raw_data else None

    def picture(self) -> Any:
        """Return the stream of the picture that was chosen, or None."""
        sent = self.image.data
        return sent.stream if isinstance(sent, FileStorage) else None

    def show(self, errors: Mapping[str, str]) -> list[str]:
        """Put the service's errors at their fields; return those that have no field."""
        for name, text in errors.items():
            if name in self:
                self[name].errors = [text]
        return [text for name, text in errors.items() if name not in self or name == "version"]


def _number(text: Any) -> Any:
    """Return a number where a text is one; else what was sent, for the service to refuse."""
    if not isinstance(text, str):
        # A file, sent under this name.
        return text
    text = text.strip()
    return int(text) if _WHOLE_NUMBER.fullmatch(text) else text

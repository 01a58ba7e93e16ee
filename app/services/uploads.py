"""Pictures that people send: checked by content, stored anew, served from UPLOAD_FOLDER.

What is stored is never what was sent: the picture is decoded and written again, so that
neither metadata (where a photo was taken) nor anything hidden in the file survives.
"""

import logging
import os
import struct
import threading
import uuid
from io import BytesIO
from pathlib import Path
from typing import IO, TYPE_CHECKING

from flask import current_app

from app.services.errors import Invalid

if TYPE_CHECKING:
    from PIL.Image import Image

log = logging.getLogger(__name__)

FORMATS = ("JPEG", "PNG", "WEBP", "GIF")
CONTENT_TYPE = "image/webp"
# A few hundred bytes can claim to be a picture of gigabytes: refuse before decoding.
MAX_PIXELS = 40_000_000
# These decode only at their full size, four bytes a pixel; a JPEG at a fraction of its own.
MAX_PIXELS_WHOLE = 16_000_000
MAX_SIDE = 1600
SMALL_SIDE = 160

_NOT_A_PICTURE = "This is not a picture that can be read. Use a JPEG, PNG, WebP or GIF file."
# What Pillow's decoders raise for damaged or hostile files.
_DAMAGED = (
    OSError, ValueError, SyntaxError, EOFError, TypeError, LookupError, ArithmeticError,
    struct.error,
)  # fmt: skip
# The memory of one large picture per process, however many arrive at once.
_DECODING = threading.Lock()


def store_image(stream: IO[bytes]) -> str:
    """Check and store a picture; return the name it got. Raises Invalid for anything else."""
    limit = current_app.config["UPLOAD_MAX_BYTES"]
    content = stream.read(limit + 1)
    if not content:
        raise _refused("This file is empty. Choose a picture.")
    if len(content) > limit:
        raise _refused(f"This picture is too large. Use one of at most {size_text(limit)}.")
    with _DECODING:
        picture = _decoded(content)
    name = f"{uuid.uuid4().hex}.webp"
    try:
        for file, side in ((small_name(name), SMALL_SIDE), (name, MAX_SIDE)):
            _write(file, _encoded(picture, side))
    except BaseException:
        remove_image(name)
        raise
    return name


def small_name(name: str) -> str:
    """Return the name of the small copy that lists show."""
    return f"{Path(name).stem}-small.webp"


def remove_image(name: str | None) -> None:
    """Remove a stored picture; never raises, for the change it belongs to is already made."""
    for file in (name, small_name(name)) if name else ():
        try:
            (_folder() / Path(file).name).unlink(missing_ok=True)
        except OSError:
            log.warning("image_not_removed", extra={"file": file}, exc_info=True)


def size_text(size: int) -> str:
    """Return a number of bytes as people say it."""
    return f"{size / 1_048_576:.3g} MB" if size >= 1_048_576 else f"{size // 1024} KB"


def _folder() -> Path:
    return Path(current_app.config["UPLOAD_FOLDER"])


def _refused(message: str) -> Invalid:
    return Invalid(message, errors={"image": message})


def _decoded(content: bytes) -> "Image":
    """Return the picture's pixels, upright and at most MAX_SIDE wide and high."""
    # It takes memory, which the runner and a worker that gets no pictures do not need.
    from PIL import Image, ImageOps

    try:
        # Verifying reads a picture to its end without decoding it, and uses it up.
        _opened(content).verify()
        picture = _opened(content)
        # A JPEG decodes to a fraction of its size at once; other formats ignore this.
        picture.draft("RGB", (MAX_SIDE, MAX_SIDE))
        picture.load()
        # Small first: turning makes a copy.
        picture.thumbnail((MAX_SIDE, MAX_SIDE))
        picture = ImageOps.exif_transpose(picture)
        return picture.convert("RGBA" if picture.has_transparency_data else "RGB")
    except (*_DAMAGED, Image.DecompressionBombError) as error:
        raise _refused(_NOT_A_PICTURE) from error


def _encoded(picture: "Image", side: int) -> bytes:
    copy = picture.copy()
    copy.thumbnail((side, side))
    result = BytesIO()
    # Metadata is written only on request: comments, profiles and GPS positions end here.
    copy.save(result, "WEBP", quality=82, method=2)
    return result.getvalue()


def _opened(content: bytes) -> "Image":
    from PIL import Image

    picture = Image.open(BytesIO(content), formats=FORMATS)
    width, height = picture.size
    limit = MAX_PIXELS if picture.format == "JPEG" else MAX_PIXELS_WHOLE
    if width * height > limit:
        raise _refused(
            f"This picture has too many pixels. Use one of at most {limit // 1_000_000} million."
        )
    return picture


def _write(name: str, content: bytes) -> None:
    """Write a file that is there whole or not at all."""
    folder = _folder()
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f".{name}.part"
    try:
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(folder / name)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise

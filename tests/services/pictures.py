"""Pictures for tests."""

from io import BytesIO

from PIL import Image


def picture(colour: str = "teal", kind: str = "PNG", size: tuple[int, int] = (40, 30)) -> BytesIO:
    """Return a small picture as a stream."""
    stream = BytesIO()
    Image.new("RGB", size, colour).save(stream, kind)
    stream.seek(0)
    return stream

import errno
import os
import struct
import threading
import time
import zlib
from io import BytesIO
from pathlib import Path

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from app.services import uploads
from app.services.errors import Invalid
from app.services.uploads import MAX_SIDE, SMALL_SIDE, remove_image, small_name, store_image
from tests.helpers import log_lines


def picture(kind: str = "PNG", size: tuple[int, int] = (40, 30), **options: object) -> bytes:
    stream = BytesIO()
    Image.new("RGB", size, "teal").save(stream, kind, **options)
    return stream.getvalue()


def bomb(width: int, height: int) -> bytes:
    """Return a PNG of a few bytes that claims to be enormous."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(b"\0" * 1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body + chunk(b"IEND", b"")


def store(content: bytes) -> str:
    return store_image(BytesIO(content))


def stored(app: Flask) -> list[str]:
    folder = Path(app.config["UPLOAD_FOLDER"])
    return sorted(os.listdir(folder)) if folder.exists() else []


def opened(app: Flask, name: str) -> Image.Image:
    return Image.open(Path(app.config["UPLOAD_FOLDER"], name))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
def test_a_picture_is_stored_anew_with_a_small_copy_under_a_name_of_ours(
    app_context: Flask, kind: str
) -> None:
    name = store(picture(kind, (400, 300)))
    assert stored(app_context) == sorted([name, small_name(name)])
    assert opened(app_context, name).format == "WEBP"
    assert opened(app_context, name).size == (400, 300)
    assert max(opened(app_context, small_name(name)).size) == SMALL_SIDE


def test_a_large_picture_is_made_smaller(app_context: Flask) -> None:
    name = store(picture("JPEG", (3000, 1500)))
    assert opened(app_context, name).size == (MAX_SIDE, MAX_SIDE // 2)


def test_a_photo_from_a_camera_may_have_more_pixels_than_a_drawing(app_context: Flask) -> None:
    name = store(picture("JPEG", (6000, 4000)))
    assert max(opened(app_context, name).size) == MAX_SIDE


def test_pictures_are_decoded_one_after_the_other_and_turned_when_they_are_small(
    app_context: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    turning: list[int] = []
    seen: list[tuple[int, int]] = []
    real = ImageOps.exif_transpose

    def turn(image: Image.Image) -> Image.Image:
        turning.append(1)
        # The others have the time to come here, if nothing holds them.
        time.sleep(0.05)
        seen.append((len(turning), max(image.size)))
        turning.pop()
        return real(image)

    def send() -> None:
        with app_context.app_context():
            store(picture("PNG", (2000, 1000)))

    monkeypatch.setattr(ImageOps, "exif_transpose", turn)
    threads = [threading.Thread(target=send) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [(1, MAX_SIDE)] * 3


def test_a_photo_stands_upright_and_loses_what_it_knew_of_its_place(app_context: Flask) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # Turned by a quarter.
    exif[0x010E] = "canary-description"
    exif.get_ifd(0x8825)[1] = "N"
    content = picture("JPEG", (40, 20), exif=exif, comment=b"canary-comment",
                      icc_profile=b"canary-profile")  # fmt: skip
    assert b"canary" in content
    name = store(content)
    assert opened(app_context, name).size == (20, 40)
    assert not opened(app_context, name).getexif()
    assert b"canary" not in Path(app_context.config["UPLOAD_FOLDER"], name).read_bytes()


def test_what_hides_behind_a_picture_is_not_stored(app_context: Flask) -> None:
    name = store(picture("GIF") + b"<script>canary()</script>")
    assert b"canary" not in Path(app_context.config["UPLOAD_FOLDER"], name).read_bytes()


def test_transparency_survives(app_context: Flask) -> None:
    stream = BytesIO()
    Image.new("RGBA", (10, 10), (0, 0, 0, 0)).save(stream, "PNG")
    assert opened(app_context, store(stream.getvalue())).mode == "RGBA"


NOT_PICTURES = {
    "a bomb so large that Pillow itself gives up": bomb(50_000, 50_000),
    "text": b"hello",
    "html": b"<html><script>alert(1)</script></html>",
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
    "pdf": b"%PDF-1.7\n",
    "only a beginning": b"\x89PNG\r\n\x1a\n",
    "cut off": picture("JPEG", (300, 300))[:400],
    "bmp, which we do not take": picture("BMP"),
    "eps, which runs programs": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n",
}


@pytest.mark.parametrize("content", NOT_PICTURES.values(), ids=NOT_PICTURES)
def test_what_is_no_picture_is_refused_whatever_it_is_called(
    app_context: Flask, content: bytes
) -> None:
    with pytest.raises(Invalid) as refused:
        store(content)
    assert set(refused.value.errors) == {"image"}
    assert stored(app_context) == []


@pytest.mark.parametrize("content", [bomb(4001, 4001), bomb(65_535, 1000)], ids=["square", "strip"])
def test_a_decompression_bomb_is_refused_before_it_is_decoded(
    app_context: Flask, content: bytes
) -> None:
    assert len(content) < 200
    with pytest.raises(Invalid) as refused:
        store(content)
    message = "This picture has too many pixels. Use one of at most 16 million."
    assert refused.value.errors == {"image": message}
    assert stored(app_context) == []


@pytest.mark.settings(UPLOAD_MAX_BYTES=2048)
def test_a_file_over_the_limit_is_refused_with_the_limit_in_the_message(
    app_context: Flask,
) -> None:
    with pytest.raises(Invalid) as refused:
        store(b"x" * 2049)
    assert refused.value.message == "This picture is too large. Use one of at most 2 KB."
    with pytest.raises(Invalid, match="empty"):
        store(b"")


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_a_damaged_picture_is_stored_or_refused_and_never_an_error(
    app_context: Flask, data: st.DataObject
) -> None:
    content = bytearray(picture(data.draw(st.sampled_from(["PNG", "JPEG", "WEBP", "GIF"]))))
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    before = len(stored(app_context))
    try:
        store(bytes(content))
        assert len(stored(app_context)) == before + 2
    except Invalid:
        assert len(stored(app_context)) == before


def test_a_full_disk_leaves_nothing_half_written(
    app_context: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []

    def fsync(_descriptor: int) -> None:
        synced.append(1)
        # The small copy fits, the picture itself no longer does.
        if len(synced) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(uploads.os, "fsync", fsync)
    with pytest.raises(OSError, match="No space"):
        store(picture())
    assert stored(app_context) == []


def test_removing_takes_both_files_and_nothing_outside_the_folder(
    app_context: Flask, tmp_path: Path
) -> None:
    name = store(picture())
    outside = Path(app_context.config["UPLOAD_FOLDER"]).parent / "keep.webp"
    outside.write_text("mine")
    for one in (name, name, "../keep.webp", None):
        remove_image(one)
    assert stored(app_context) == []
    assert outside.exists()


def test_a_file_that_cannot_be_removed_is_recorded_and_stops_nobody(app_context: Flask) -> None:
    folder = Path(app_context.config["UPLOAD_FOLDER"])
    (folder / "a.webp").mkdir(parents=True)
    remove_image("a.webp")
    records = [one for one in log_lines(app_context) if one["message"] == "image_not_removed"]
    assert [(one["level"], one["details"]["file"]) for one in records] == [("WARNING", "a.webp")]

"""Take the pictures of docs/images: the administrator's pages in both themes and two widths."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from aiosmtpd.controller import Controller
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from app.scheduler.status import read_status
from tests.browser import made_up_day
from tests.browser.conftest import ADMIN, CHROMIUM
from tests.conftest import Mailbox
from tests.helpers import PASSWORD, ROOT, Server, free_port, serving, wait_for

IMAGES = ROOT / "docs" / "images"
PAGES = {
    "overview": "/admin?window=24h",
    "logs": "/admin/logs?q=level:%3E%3Dwarning&range=24h",
    "request": "",
    "errors": "/admin/errors?window=24h",
    "security": "/admin/security",
    "alerts": "/admin/alerts",
    "users": "/admin/users",
}
SIZES = {"": {"width": 1280, "height": 1000}, "-narrow": {"width": 360, "height": 740}}
CHECK = "from app.alerting import check_error_rate; check_error_rate()"


def main() -> None:
    """Make a site with a day behind it, and take its pictures."""
    with tempfile.TemporaryDirectory() as folder, site(Path(folder)) as server, \
            sync_playwright() as playwright:  # fmt: skip
        browser = playwright.chromium.launch(executable_path=CHROMIUM, chromium_sandbox=False)
        take(browser, server)
        browser.close()


@contextmanager
def site(folder: Path) -> Iterator[Server]:
    mail = Controller(Mailbox(), hostname="127.0.0.1", port=free_port())
    mail.start()
    told = {
        "SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(mail.port), "SLOW_QUERY_MS": "250",
        "ALERT_RECIPIENTS": "ops@example.com", "RELEASE": "1.4.0",
    }  # fmt: skip
    try:
        with serving(folder / "site", env=told) as server:
            server.flask("users", "create", ADMIN, "--admin", "--password-stdin", input=PASSWORD)
            for email in made_up_day.PEOPLE:
                server.flask("users", "create", email)
            made_up_day.write(server, folder / "rehearsal")
            wait_for(lambda: (now := read_status(server.log_dir)) and now.unshipped_bytes == 0, 120)
            server.flask("shell", input=CHECK)
            yield server
    finally:
        mail.stop()


def take(browser: Browser, server: Server) -> None:
    page = browser.new_context(base_url=server.url, reduced_motion="reduce").new_page()
    page.goto("/auth/login")
    page.get_by_label("E-mail").fill(ADMIN)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.locator("main").get_by_role("button", name="Log in").click()
    page.get_by_role("link", name="Admin", exact=True).wait_for()
    wait_for(lambda: page.goto("/admin/alerts") and page.get_by_text("sent", exact=True).count())
    page.goto('/admin/logs?q=action:error+"division+by+zero"')
    story = page.locator(".cell-request a.id").first.get_attribute("href") or ""
    for name, address in PAGES.items():
        page.goto(address or story)
        page.get_by_text("Counting …").wait_for(state="detached")
        for suffix, size in SIZES.items():
            page.set_viewport_size(size)  # type: ignore[arg-type]
            for scheme in ("light", "dark"):
                page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
                save(page, IMAGES / f"{name}-{scheme}{suffix}.png")


def save(page: Page, path: Path) -> None:
    """Write what is in sight, in as many colours as one byte tells apart."""
    picture = Image.open(BytesIO(page.screenshot())).convert("RGB")
    picture.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    main()

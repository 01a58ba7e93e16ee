"""What the tests of the administrator's pages share."""

from flask.testing import FlaskClient

from tests.html_page import Element, read_page


def facts(found: Element, class_: str) -> dict[str, str]:
    """Return a list of facts by name."""
    every = found.one("dl", class_=class_).every("div")
    return {row.one("dt").text: row.one("dd").text for row in every}


def page(client: FlaskClient, address: str, status: int = 200) -> Element:
    answer = client.get(address)
    assert answer.status_code == status, answer.get_data(as_text=True)
    return read_page(answer.get_data(as_text=True))


def rows(client: FlaskClient, address: str) -> list[str]:
    """Return what each row of the log page says happened."""
    return [cell.text for cell in page(client, address).every("td", class_="cell-what")]

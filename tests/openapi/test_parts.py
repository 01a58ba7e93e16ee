from flask import Flask

from app.openapi.parts import ANYBODY, CHANGES, PARTS, TOKEN, answers, described
from app.services.throttle import TOKEN_PER_ADDRESS
from tests.openapi.checking import Checked


def test_every_operation_can_be_refused_for_its_token_and_its_load() -> None:
    assert set(answers(200, described("Done."), 404)) == {"200", "401", "404", "429", "503"}


def test_each_way_to_ask_is_a_scheme_that_is_described() -> None:
    used = {name for way in (*ANYBODY, *TOKEN, *CHANGES) for name in way}
    assert used == set(PARTS["securitySchemes"])


def test_a_flood_of_bad_tokens_is_answered_as_described(app: Flask) -> None:
    app.config["RATELIMIT_ENABLED"] = True
    api, bad = Checked(app), {"Authorization": "Bearer made-up"}
    for _ in range(TOKEN_PER_ADDRESS.rate.amount):
        api.ask("GET", "/api/items", 401, headers=bad)
    api.ask("GET", "/api/items", 429, headers=bad)

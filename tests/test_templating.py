from flask import Flask

from app.templating import PageEnvironment


def test_a_template_has_the_globals_of_the_application_and_its_own_which_win(app: Flask) -> None:
    environment = app.jinja_env
    assert isinstance(environment, PageEnvironment)
    environment.globals["greeting"] = environment.globals["whom"] = "nobody"
    template = environment.from_string("{{ greeting }} {{ whom }}", globals={"greeting": "Hello"})
    assert template.render() == "Hello nobody"
    assert template.render(whom="you") == "Hello you"
    assert environment.globals["greeting"] == "nobody"


def test_what_a_template_looks_up_is_one_plain_dictionary(app: Flask) -> None:
    assert type(app.jinja_env.from_string("").globals) is dict

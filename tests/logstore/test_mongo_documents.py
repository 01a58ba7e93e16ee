from app.logstore.mongo_documents import from_document, to_document
from app.logstore.record import normalise
from tests.logstore.stores import sample


def test_a_document_holds_what_is_there_and_reads_as_the_record() -> None:
    record = normalise(sample(details={"a.b": 1, "$c": {"": [None]}}, duration_ms=0.0, path=""))
    document = to_document(record, "source", 5)
    assert None not in document.values()
    assert document["details"] == '{"a.b":1,"$c":{"":[null]}}'
    assert from_document(document) == {**record, "source": "source", "seq": 5}


def test_what_is_rare_is_set_apart_for_its_index() -> None:
    def rare(**fields: str) -> set[str]:
        document = to_document(normalise(sample(**fields)), "source", 1)
        return {name for name in document if name.startswith("rare_")}

    assert rare() == rare(level="DEBUG", action="request") == set()
    assert rare(level="ERROR") == {"rare_level"}
    assert rare(action="login") == {"rare_action"}

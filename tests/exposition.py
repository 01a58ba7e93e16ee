"""Read what /metrics says, with Prometheus' own parser."""

from typing import Any

from prometheus_client.parser import text_string_to_metric_families


class Exposition:
    """The samples of one scrape; each series may appear once only."""

    number = 0  # Which scrape this was, for a reader that counts them.

    def __init__(self, text: str) -> None:
        self.samples: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
        self.types: dict[str, str] = {}
        for family in text_string_to_metric_families(text):
            assert family.name not in self.types, f"{family.name} appears twice"
            self.types[family.name] = family.type
            for sample in family.samples:
                key = sample.name, frozenset(sample.labels.items())
                assert key not in self.samples, key
                self.samples[key] = sample.value

    def value(self, name: str, **labels: Any) -> float:
        """Return one series' value; 0 if there is none, as Prometheus counts it."""
        return self.samples.get((name, frozenset((k, str(v)) for k, v in labels.items())), 0.0)

    def sum(self, name: str, **labels: Any) -> float:
        """Return the sum of all series of a name that have these labels."""
        wanted = {(key, str(value)) for key, value in labels.items()}
        return sum(
            value for (one, has), value in self.samples.items() if one == name and wanted <= has
        )

    def labels(self, name: str, label: str) -> set[str]:
        """Return the values that a label takes."""
        return {dict(has)[label] for one, has in self.samples if one == name}

    def names(self) -> set[str]:
        return {name for name, _labels in self.samples}


def scrape(client: Any, **query: Any) -> Exposition:
    """Read /metrics through a test client."""
    answer = client.get("/metrics", query_string=query)
    assert answer.status_code == 200
    return Exposition(answer.get_data(as_text=True))

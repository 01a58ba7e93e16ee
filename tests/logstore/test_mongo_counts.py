from app.logstore.counts import Key, Selection, Tile
from app.logstore.mongo_client import Mongo
from app.logstore.mongo_counts import MongoCounts
from app.logstore.mongo_documents import COUNTS
from tests.mongo_server import close_clients

KEY = Key(60, 120, "s", "INFO", "request", "/größe.$", 2, "", -1)


def test_all_buckets_of_one_kind_share_a_document(mongo_url: str) -> None:
    mongo = Mongo(mongo_url)
    counts = MongoCounts(mongo)
    added = {KEY: 2, KEY._replace(bucket=7): 3, KEY._replace(source="t"): 4}
    for _ in range(2):
        counts.add(added)
    counts.add({})
    assert mongo.collection(COUNTS).count_documents({}) == 2
    assert dict(counts.stored(0, 240)) == {key: 2 * count for key, count in added.items()}
    chosen, tile = Selection(route=KEY.route), Tile(60, 0, 240)
    assert sorted(counts.sums(chosen, [tile], ["source"], None)) == [("s", 10), ("t", 8)]
    assert list(counts.sums(chosen, [tile], ["level"], 120)) == [(120, "INFO", 18)]
    found = counts.histograms(chosen, [tile], ["level", "source"], 120)
    assert sorted(found, key=str) == [
        (120, "INFO", "s", {-1: 4, 7: 6}),
        (120, "INFO", "t", {-1: 8}),
    ]
    close_clients(mongo)

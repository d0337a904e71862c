from jaxrcnn.checking.cost import Fit
from jaxrcnn.checking.lines import (
    describe_anchors,
    describe_batches,
    describe_cost,
    describe_fit_lines,
)

NOW = {"missed": {"0.5": 0.25, "0.7": 0.5}}


def test_anchors_are_only_suggested_where_they_miss_fewer_objects():
    none = {"suggested_sizes": None, "suggested_ratios": None, "suggested_missed": None}
    assert describe_anchors(NOW | none) == (
        "25.0% of the objects have no anchor with an IoU of 0.5 (50.0% with 0.7). "
        "k-means finds no anchors that miss fewer."
    )
    others = {
        "suggested_sizes": ((16,), (8,)),
        "suggested_ratios": (0.5, 2),
        "suggested_missed": {"0.5": 0.125, "0.7": 0.5},
    }
    line = describe_anchors(NOW | others)
    assert "the sizes 8 16 and the ratios 0.5 2, which miss 12.5% (50.0%); other" in line


def test_long_lines_are_wrapped():
    others = {
        "suggested_sizes": tuple((2.0**k,) for k in range(10)),
        "suggested_ratios": (0.5, 2),
        "suggested_missed": {"0.5": 0.125, "0.7": 0.5},
    }
    batches = {"shapes": [(320, 448)], "padded_share": 0.049}
    cost = {"parameters": 1.9e7, "memory_bytes": 2e8, "seconds_per_step": None, "how": "computed"}
    lines = list(describe_fit_lines(Fit(NOW | others, batches, cost)))
    assert max(map(len, lines)) <= 88
    assert [line.split()[0] for line in lines if line[0] != " "] == ["anchors", "batches", "cost"]
    assert all(line.startswith(" " * 9) for line in lines if line[0] == " ")
    words = " ".join(lines).split()
    text = ["anchors", describe_anchors(NOW | others), "batches", describe_batches(batches)]
    assert words == " ".join([*text, "cost", describe_cost(cost)]).split()

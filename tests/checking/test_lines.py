from jaxrcnn.checking.lines import describe_anchors

NOW = {"missed": {"0.5": 0.25, "0.7": 0.5}}


def test_anchors_are_only_suggested_where_they_miss_fewer_objects():
    none = {"suggested_sizes": None, "suggested_ratios": None, "suggested_missed": None}
    assert describe_anchors(NOW | none) == (
        "25.0% of the objects have no anchor with an IoU of 0.5, 50.0% none with 0.7; "
        "k-means finds no anchors that miss fewer objects"
    )
    others = {
        "suggested_sizes": ((16,), (8,)),
        "suggested_ratios": (0.5, 2),
        "suggested_missed": {"0.5": 0.125, "0.7": 0.5},
    }
    line = describe_anchors(NOW | others)
    assert "with the sizes 8 16 and ratios 0.5 2 that k-means suggests, 12.5% and 50.0%" in line

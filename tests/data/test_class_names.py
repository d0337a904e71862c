from jaxrcnn.data.class_names import alike


def test_names_that_differ_in_case_or_blanks_are_alike():
    names = ["cat", "Cat", "traffic light", "traffic_light", "dog", "trafficlight", "c++", "c", "-"]
    assert alike(names) == [
        ("cat", "Cat"),
        ("traffic light", "traffic_light"),
        ("traffic light", "trafficlight"),
    ]
    assert alike(["cat", "cat"]) == []

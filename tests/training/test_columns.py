from jaxrcnn.training.columns import aligned


def test_cells_begin_at_the_same_place_and_no_line_ends_in_spaces():
    assert aligned([("a", "bb", "c"), ("long", "b", "")]) == ["a     bb  c", "long  b"]

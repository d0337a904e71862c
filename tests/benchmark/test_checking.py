from jaxrcnn.benchmark.checking import draw_set
from jaxrcnn.data import read_coco


def test_the_set_is_what_is_said_of_it(tmp_path):
    draw_set(tmp_path / "set", 3)
    dataset = read_coco(str(tmp_path / "set"), ("train",))
    assert dataset.sizes.tolist() == [[480, 640]] * 3
    assert dataset.columns.counts.tolist() == [7] * 3
    assert dataset.clipped == 0
    assert (dataset.read_image(0) != dataset.read_image(1)).mean() > 0.9

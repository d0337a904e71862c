import numpy as np

from jaxrcnn.data.records import Dataset, make_record
from jaxrcnn.data.repeats import repeat_factors


def dataset_of(*labels, crowd=()):
    """One image for each tuple of labels, with as many boxes."""
    records = [
        make_record(i, f"{i}", "", (9, 9), [[0, 0, 4, 4]] * len(x), x, crowd=[i in crowd] * len(x))
        for i, x in enumerate(labels)
    ]
    return Dataset("set", tuple(records), ("a", "b", "c"))


def test_factors_are_those_of_the_rarest_class_by_hand():
    # a is on 4 of 5 images, b on 2, c on 1: f = .8, .4, .2
    dataset = dataset_of((1, 1), (1, 2), (1, 2, 3), (1,), ())
    root = np.sqrt(2)
    np.testing.assert_allclose(repeat_factors(dataset, 0.4), [1, 1, root, 1, 1])
    np.testing.assert_allclose(repeat_factors(dataset, 0.8), [1, root, 2, 1, 1])
    np.testing.assert_array_equal(repeat_factors(dataset, 0.2), np.ones(5))


def detectron2_factors(dataset_dicts, repeat_thresh):
    """Detectron2 0.6's RepeatFactorTrainingSampler.repeat_factors_from_category_frequency."""
    category_freq = {}
    for dataset_dict in dataset_dicts:
        for cat_id in {ann["category_id"] for ann in dataset_dict["annotations"]}:
            category_freq[cat_id] = category_freq.get(cat_id, 0) + 1
    num_images = len(dataset_dicts)
    for k, v in category_freq.items():
        category_freq[k] = v / num_images
    category_rep = {
        cat_id: max(1.0, np.sqrt(repeat_thresh / cat_freq))
        for cat_id, cat_freq in category_freq.items()
    }
    rep_factors = []
    for dataset_dict in dataset_dicts:
        cat_ids = {ann["category_id"] for ann in dataset_dict["annotations"]}
        rep_factors.append(max({category_rep[cat_id] for cat_id in cat_ids}, default=1.0))
    return rep_factors


def test_factors_are_detectron2s():
    rng = np.random.default_rng(0)
    chance = (0.9, 0.2, 0.03)
    labels = [tuple(k for k in (1, 2, 3) if rng.random() < chance[k - 1]) for _ in range(200)]
    theirs = detectron2_factors(
        [{"annotations": [{"category_id": k} for k in x]} for x in labels], 0.3
    )
    assert max(theirs) > 2
    np.testing.assert_allclose(repeat_factors(dataset_of(*labels, crowd=(3, 4)), 0.3), theirs)

import jax
import numpy as np

from jaxrcnn.stages.rpn import concatenate_levels


def test_levels_are_concatenated_in_the_order_level_row_column_anchor():
    shapes = [(2, 3, 2), (1, 2, 2)]  # height, width, anchors a cell
    logits, deltas, expected = [], [], []
    for level, (height, width, anchors) in enumerate(shapes):
        places = [
            [[1000 * level + 100 * y + 10 * x + a for a in range(anchors)] for x in range(width)]
            for y in range(height)
        ]
        logits.append(np.array([places, places], np.float16))
        deltas.append(
            np.repeat(logits[-1], 4, -1).astype(np.float32) + np.tile([0, 2e3, 4e3, 6e3], anchors)
        )
        expected += [a for row in places for cell in row for a in cell]
    rpn = jax.jit(concatenate_levels)(logits, deltas)
    assert rpn.objectness.dtype == rpn.deltas.dtype == np.float32
    np.testing.assert_array_equal(rpn.objectness, [expected, expected])
    deltas_of_one = np.array(expected)[:, None] + [0, 2e3, 4e3, 6e3]
    np.testing.assert_array_equal(rpn.deltas, [deltas_of_one, deltas_of_one])

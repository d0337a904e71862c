import jax
import numpy as np
import pytest

from jaxrcnn.benchmark.chips import Peak
from jaxrcnn.benchmark.cost import Cost, cache_apart, fresh_cache, measure_cost
from jaxrcnn.benchmark.programs import Prediction, Training, draw_variables, with_shared_parts
from jaxrcnn.benchmark.shapes import Shape
from jaxrcnn.benchmark.workload import draw_batch
from jaxrcnn.config import Config, ConfigError
from jaxrcnn.detector import build
from tests.cli import fork
from tests.tiny import MODEL, change

CONFIG = Config(model=MODEL)
SHAPE = Shape(2, 64, 64)


@pytest.fixture(scope="module")
def variables():
    return draw_variables(CONFIG)


def test_training_goes_on_from_step_to_step(variables):
    before = jax.tree.map(np.array, variables)
    program = Training(CONFIG, SHAPE, variables)
    _, state = program.step()
    assert int(state.step) == 1
    assert len(program.run(2)) == 2
    _, state = program.step_on(draw_batch(SHAPE, 3))
    assert int(state.step) == 4
    # A step consumes its state; what it was made of must still be there.
    jax.tree.map(np.testing.assert_array_equal, before, jax.device_get(variables))
    # The weights, and with them the work, stay as they are.
    for x, y in zip(
        jax.tree.leaves(before["params"]), jax.tree.leaves(state.variables["params"]), strict=True
    ):
        np.testing.assert_allclose(x, y, atol=1e-4)


def test_a_prediction_costs_what_its_arrays_take(variables):
    program = Prediction(CONFIG, SHAPE, variables)
    assert program.step().boxes.shape == (2, MODEL.detections.max_detections, 4)
    before = jax.config.jax_compilation_cache_dir
    with fresh_cache():
        assert (own := jax.config.jax_compilation_cache_dir) != before
        with cache_apart():
            assert jax.config.jax_compilation_cache_dir not in (own, before)
        assert jax.config.jax_compilation_cache_dir == own
        cost = measure_cost(program)
    assert jax.config.jax_compilation_cache_dir == before
    assert min(cost.traced, cost.cold, cost.cached) > 0
    images = SHAPE.images * SHAPE.height * SHAPE.width * 3
    assert cost.memory > images + sum(x.nbytes for x in jax.tree.leaves(variables))
    # The stem alone: 7 x 7 x 3 inputs of each of 8 channels at half the size, less at the border.
    stem = 2 * 2 * 32 * 32 * 7 * 7 * 3 * 8
    assert 0.9 * stem < cost.flops < 100 * stem
    assert cost.moved > images


def test_a_forks_own_inference_is_what_is_timed(variables):
    program = Prediction(CONFIG, SHAPE, variables, fork.build_infer)
    assert "mine" in program.lower().as_text(debug_info=True)


def test_parts_of_the_same_arrays_are_shared():
    def tree(backbone, head, mean=0.0):
        return {
            "params": {"backbone": {"w": np.full(2, backbone)}, "box_head": {"w": np.zeros(head)}},
            "constants": {"backbone": {}, "box_head": {}},
            "batch_stats": {"backbone": {"mean": np.full(1, mean)}, "box_head": {}},
        }

    shared = with_shared_parts(tree(1.0, 3), tree(2.0, 4, mean=5.0))
    jax.tree.map(np.testing.assert_array_equal, shared, tree(2.0, 3, mean=5.0))


def test_what_builds_another_config_is_refused():
    def wide(config):
        return build(change(config, box_head={"channels": 32}))

    with pytest.raises(ConfigError, match=r"box_head\.channels"):
        draw_variables(CONFIG, wide)


def test_the_floor_is_the_slower_of_arithmetic_and_memory():
    cost = Cost(traced=1, cold=2, cached=0.5, flops=6e9, moved=4e9, memory=0)
    assert cost.floor(Peak(3e9, 1e9, "measured")) == 4
    assert cost.floor(Peak(1e9, 4e9, "measured")) == 6
    assert cost.utilisation(Peak(3e9, 1e9, "measured"), seconds=8) == 0.25

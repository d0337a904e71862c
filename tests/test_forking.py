"""The forks and the config of docs/forking.md run as they stand there, and keep the contracts."""

import pathlib
import shutil

import jax
import numpy as np
import pytest

import jaxrcnn
from jaxrcnn.config_file import load_config
from jaxrcnn.config_io import config_differences
from jaxrcnn.detector import init
from tests.contracts import check_backbone, check_roi_op, check_sampler
from tests.forks import fork_blocks, run_fork
from tests.slow import slow_but

ROOT = pathlib.Path(__file__).parents[1]
HEADINGS = {
    "backbone": "A backbone",
    "sampler": "A sampler",
    "roi_op": "A RoI op",
    "loop": "A training loop",
}


def test_every_fork_has_fifty_lines_at_most():
    blocks = [fork_blocks()[heading] for heading in HEADINGS.values()]
    assert max(len(block.splitlines()) for block in blocks) <= 50


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Run a block as a script beside train.py would run; once for all tests."""
    modules = {}

    def run(name):
        if name not in modules:
            modules[name] = run_fork(HEADINGS[name], tmp_path_factory.mktemp("fork"))
        return modules[name]

    return run


@pytest.mark.parametrize("name", slow_but(("backbone",), ("backbone", "sampler", "roi_op")))
def test_the_fork_takes_a_step(name, run):
    fork = run(name)
    assert int(fork.state.step) == 1
    assert np.isfinite(fork.metrics["loss"])
    assert fork.metrics["gradient_norm"] > 0


def test_the_backbone_is_in_use_and_keeps_the_contract(run):
    fork = run("backbone")
    assert fork.detector.backbone == fork.ConvNet()
    assert set(fork.state.variables["params"]["backbone"]) == {f"Conv_{i}" for i in range(4)}
    check_backbone(fork.ConvNet(), channels=32)


@pytest.mark.slow
def test_the_sampler_is_in_use_and_keeps_the_contract(run):
    fork = run("sampler")
    assert fork.detector.roi_sampler is fork.hardest_first
    check_sampler(fork.hardest_first)


def test_the_sampler_takes_the_background_of_most_overlap(run):
    label = np.array([0, 1, 0, -1, 0, 1], np.int32)
    overlap = np.array([0.1, 0.9, 0.4, 0.6, 0.2, 0.8], np.float32)
    sampler, key = run("sampler").hardest_first, jax.random.key(0)
    index, valid = jax.jit(sampler, static_argnums=(3, 4))(key, label, overlap, 3, 0.5)
    assert valid.all()
    assert index[0] in (1, 5)
    assert index[1:].tolist() == [2, 4]


@pytest.mark.slow
def test_the_roi_op_is_in_use_and_keeps_the_contract(run):
    fork = run("roi_op")
    assert fork.detector.roi_op is fork.bin_centres
    check_roi_op(fork.bin_centres)


def test_the_roi_op_reads_the_bin_centres_of_a_ramp(run):
    ramp = np.arange(8, dtype=np.float32)[None, :, None].repeat(8, 0)  # (8, 8, 1), its own x
    box = np.array([[8, 8, 24, 24]], np.float32)  # 2 to 6 on the map; bins are centred at 3 and 5
    pooled = run("roi_op").bin_centres([ramp], [4], box, np.zeros(1, np.int32), 2, 1)
    np.testing.assert_allclose(pooled[0, :, :, 0], [[2.5, 4.5], [2.5, 4.5]])


def test_the_loop_trains_the_heads_and_what_it_saves_is_loaded(run):
    loop = run("loop")
    before = init(loop.detector, jax.random.key(0))["params"]
    saved = jaxrcnn.load(pathlib.Path(loop.__file__).parent / "own")
    jax.tree.map(np.testing.assert_array_equal, saved.variables, loop.variables)
    for part, trained in (("backbone", False), ("rpn_head", True), ("box_head", True)):
        changed = jax.tree.map(
            lambda a, b: bool((np.asarray(a) != b).any()),
            before[part],
            saved.variables["params"][part],
        )
        assert all(x == trained for x in jax.tree.leaves(changed)), part
    assert loop.number == loop.config.train.steps - 1
    assert np.isfinite(loop.loss)
    assert saved.classes.names == loop.dataset.class_names


def test_the_config_changes_two_fields_of_the_default_one(tmp_path):
    shutil.copy(ROOT / "configs" / "shapes.py", tmp_path)
    path = tmp_path / "mine.py"
    path.write_text(fork_blocks()["A config"])
    base, mine = load_config(tmp_path / "shapes.py"), load_config(path)
    names = [line.split()[0] for line in config_differences(base, mine)]
    assert names == ["model.neck.norm", "train.steps"]
    assert (mine.model.neck.norm, mine.train.steps) == ("group", 2000)

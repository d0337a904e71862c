"""Tables that are small enough to do by hand, and one of a real program."""

import re

import jax
import jax.numpy as jnp
import pytest
from PIL import Image

from jaxrcnn.benchmark.stages import (
    STAGES,
    Operation,
    StageTable,
    StageTime,
    plot_stages,
    rows_of,
    stage_of,
    stage_table,
    tabulate,
)
from jaxrcnn.benchmark.trace import Event
from jaxrcnn.config import Config, HardExampleConfig
from jaxrcnn.detector import build, forward_infer
from jaxrcnn.training.hlo import Instruction
from jaxrcnn.training.state import create_state
from jaxrcnn.training.step import train_step
from tests.tiny import FPN_MODEL, change, make_batch


@pytest.mark.parametrize(
    ("op_name", "stage"),
    [
        ("jit(train_step)/jvp(backbone)/Backbone/body/layer1_0/conv1/dot_general", "backbone"),
        ("jit(train_step)/transpose(jvp(backbone))/Backbone/fpn/fpn._conv/layer_0/add", "neck"),
        ("jit(train_step)/jvp(propose)/vmap(nms)/while/body/and", "propose, nms"),
        ("jit(forward_infer)/propose/vmap()/gather", "propose"),
        ("jit(forward_infer)/detect/vmap(nms)/sort", "detect, nms"),
        ("jit(train_step)/jvp(mine_hard_examples)/vmap(nms)/sort", "mine_hard_examples"),
        ("jit(train_step)/update/mul;jit(train_step)/update/add", "update"),
        ("jit(forward_propose)/not", "other"),
        ("jit(train_step)/jit(clip)/min", "other"),
        ("jit(train_step)/vmap(jit(clip))/min", "other"),
        ("jit(train_step)/jvp()/while/body/closed_call/add", "other"),
        ("jit(train_step)/cond/branch_1_fun/add", "other"),
        ("state.variables['params']/mine/kernel", "other"),
        ("jit(train_step)/updates/mul", "updates"),
        ("jit(train_step)/transpose(jvp(cascade))/Refine/Dense_0/dot_general", "cascade"),
        ("jit(train_step)/jvp()/while/body/vmap(mine)/add", "mine"),
        ("jit(infer)/transpose(jvp(mine/deeper))/add", "mine/deeper"),
        ("jit(infer)/mine/box_head/Dense_0/dot_general", "box_head"),
        ("", "other"),
    ],
)
def test_scopes_say_the_stage(op_name, stage):
    assert stage_of(op_name) == stage


def test_every_stage_is_a_scope_of_the_detector():
    mining = HardExampleConfig(keep=4)
    model = change(FPN_MODEL, proposals={"stop_gradient": False}, box_head={"mining": mining})
    config, detector, batch = Config(model=model), build(model), make_batch()
    state = jax.jit(create_state, static_argnums=(0, 1)).eval_shape(detector, config)
    images = (batch.images, batch.image_sizes)
    lowered = (
        jax.jit(train_step, static_argnums=(0, 1)).lower(detector, config, state, batch),
        jax.jit(forward_infer, static_argnums=0).lower(detector, state.variables, *images),
    )
    names = {name for x in lowered for name in re.findall('"(.+?)"', x.as_text(debug_info=True))}
    assert {stage_of(name) for name in names} == {*STAGES, "other"}


def test_a_scope_of_a_forks_own_has_a_row_before_the_other():
    names = {"a": "jit(f)/mine/add", "b": "jit(f)/add", "c": "jit(f)/jvp(detect)/mul"}
    program = {name: Instruction("main", x, (), ()) for name, x in names.items()}
    events = [Event("a", 0, 1), Event("b", 1, 3), Event("c", 3, 7)]
    assert tabulate(program, events, seconds=8, steps=1).rows == (
        StageTime("detect", 4, 0),
        StageTime("mine", 1, 0),
        StageTime("other", 2, 0),
        StageTime("idle", 1, 0),
    )


def test_a_table_by_hand():
    names = {
        "conv": "jit(f)/jvp(backbone)/conv",
        "conv.1": "jit(f)/transpose(jvp(backbone))/conv",
        "mul": "jit(f)/update/mul",
        "add": "jit(f)/add",
    }
    program = {name: Instruction("main", x, (), ()) for name, x in names.items()}
    # Two steps of ten seconds, the second two seconds slower in the gradient.
    events = [
        *(Event("conv", 0, 2), Event("conv.1", 2, 5), Event("mul", 5, 7), Event("add", 6, 8)),
        *(Event("conv", 10, 12), Event("conv.1", 12, 17), Event("mul", 17, 18)),
    ]
    table = tabulate(program, events, seconds=20, steps=2)
    assert table.rows == (
        StageTime("backbone", 2, 4),
        StageTime("update", 1.25, 0),  # of the second from 6 to 7 it has a half
        StageTime("other", 0.75, 0),
        StageTime("idle", 2, 0),
    )
    assert table.seconds == 10
    assert table.operations == (
        Operation("backbone", "conv.1", names["conv.1"], 4),
        Operation("backbone", "conv", names["conv"], 2),
        Operation("update", "mul", names["mul"], 1.25),
        Operation("other", "add", names["add"], 0.75),
    )


TABLE = StageTable(
    (
        StageTime("backbone", 0.002, 0.004),
        StageTime("other", 0.001, 0),
        StageTime("idle", 0.003, 0),
    ),
    0.01,
    (
        Operation("backbone", "conv", "jit(f)/backbone/conv", 0.006),
        Operation("other", "add.3", "jit(f)/add", 0.001),
    ),
)


def test_the_rows_are_in_milliseconds_and_end_with_their_sum():
    table = TABLE._replace(rows=(*TABLE.rows, StageTime("gate", 0.000009, 0)))
    assert [[cell.strip() for cell in row] for row in rows_of(table)] == [
        ["ms", "forward", "backward", "total", "share"],
        ["backbone", "2.0", "4.0", "6.0", "60.0 %"],
        ["other", "1.0", "0.0", "1.0", "10.0 %"],
        ["idle", "3.0", "0.0", "3.0", "30.0 %"],
        ["a step", "6.0", "4.0", "10.0", "100.1 %"],
    ]


def test_the_image_has_a_bar_for_each_direction(tmp_path):
    path = tmp_path / "stages.png"
    plot_stages(TABLE, path, "a step")
    colors = Image.open(path).convert("RGB").getcolors(1 << 20)
    bars = {color: number for number, color in colors}
    # 2 + 1 + 3 ms forwards and 4 backwards, beside a patch of each in the legend
    assert bars[0x21, 0x85, 0xEE] / bars[0xFF, 0x7A, 0x1A] == pytest.approx(6 / 4, rel=0.1)


def program_in_stages(w, x):
    def loss(w):
        with jax.named_scope("backbone"):
            y = jnp.tanh(x @ w)
        with jax.named_scope("propose"), jax.named_scope("nms"):
            rounds = jax.lax.stop_gradient(y.sum() * 0 + 5)
            z = jax.lax.while_loop(
                lambda s: s[0] < rounds, lambda s: (s[0] + 1, s[1] @ w), (0.0, x)
            )
        return jnp.square(y).sum(), z

    gradient, z = jax.grad(loss, has_aux=True)(w)
    with jax.named_scope("update"):
        return w - 0.1 * jnp.cumsum(gradient, 0), z


def sort_alone(x):
    return jnp.sort(x, axis=0)


def test_real_programs_are_told_apart():
    w, x = jnp.eye(64), jnp.ones((512, 64))
    step, other = jax.jit(program_in_stages), jax.jit(sort_alone)

    def run():
        jax.block_until_ready((step(w, x), other(x)))

    run()
    table = stage_table(run, steps=3)
    rows = {row.stage: row for row in table.rows}
    assert rows.keys() == {"backbone", "propose, nms", "update", "other", "idle"}
    assert rows["backbone"].forward > 0 < rows["backbone"].backward
    assert rows["propose, nms"].forward > 0 == rows["propose, nms"].backward
    assert rows["update"].forward > 0 < rows["idle"].forward
    assert sum(row.total for row in table.rows) == pytest.approx(table.seconds)
    programs = {x.instruction.split("(")[0] for x in table.operations if x.stage == "other"}
    assert "jit_sort_alone" in programs

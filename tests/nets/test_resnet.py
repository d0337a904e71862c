import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrcnn.config import BackboneConfig
from jaxrcnn.nets.resnet import BasicBlock, Bottleneck, ConvNorm, ResNet, frozen_modules

PUBLISHED = {  # torchvision's counts without the last layer
    "resnet18": 11_176_512,
    "resnet34": 21_284_672,
    "resnet50": 23_508_032,
    "resnet101": 42_500_160,
    "resnet152": 58_143_808,
    "resnext101_32x8d": 86_742_336,
}
TINY = BackboneConfig("resnet18", norm="batch", width=8, frozen_stages=0)
IMAGE = jax.random.normal(jax.random.key(1), (2, 64, 64, 3))


def shapes_of(module, x):
    """Shape of every layer's output, by its path."""

    def run(x):
        variables = module.init(jax.random.key(0), x)
        return module.apply(variables, x, capture_intermediates=True, mutable=["intermediates"])

    outputs, new = jax.eval_shape(run, x)
    paths = jax.tree_util.tree_leaves_with_path(new["intermediates"])
    inside = {
        "/".join(str(entry.key) for entry in path if hasattr(entry, "key")): leaf.shape
        for path, leaf in paths
    }
    return [x.shape for x in outputs], inside


def parameters_of(config, outputs=(2, 3, 4, 5)):
    net = ResNet(config, outputs)
    return jax.eval_shape(net.init, jax.random.key(0), jnp.zeros((1, 32, 32, 3)))["params"]


@pytest.mark.parametrize("name", PUBLISHED)
def test_has_the_published_number_of_parameters(name):
    params = parameters_of(BackboneConfig(name, norm="batch"))
    assert sum(p.size for p in jax.tree.leaves(params)) == PUBLISHED[name]


@pytest.mark.parametrize(("name", "factor"), [("resnet18", 1), ("resnet50", 4)])
def test_maps_have_strides_4_to_32_rounded_up_and_doubling_channels(name, factor):
    net = ResNet(dataclasses.replace(TINY, name=name))
    shapes, _ = shapes_of(net, jnp.zeros((2, 97, 64, 3)))
    sizes = ((25, 16), (13, 8), (7, 4), (4, 2))
    assert shapes == [(2, *size, 8 * factor * 2**i) for i, size in enumerate(sizes)]


def test_res4_alone_does_not_hold_res5():
    names = {name.split("_")[0] for name in parameters_of(TINY, outputs=(4,))}
    assert names == {"conv1", "bn1", "layer1", "layer2", "layer3"}


def test_modules_are_named_as_in_torchvisions_state_dict():
    params = parameters_of(dataclasses.replace(TINY, name="resnet50"))
    assert set(params["layer1_0"]) == {
        "conv1", "bn1", "conv2", "bn2", "conv3", "bn3", "downsample_0", "downsample_1"
    }  # fmt: skip
    assert set(params["layer1_1"]) == {"conv1", "bn1", "conv2", "bn2", "conv3", "bn3"}
    assert set(params["layer1_0"]["conv1"]) == {"kernel"}


def test_without_a_norm_the_convolutions_have_biases():
    params = parameters_of(dataclasses.replace(TINY, norm="none"))
    assert set(params["layer1_0"]["conv1"]) == {"kernel", "bias"}
    assert "bn1" not in params


@pytest.mark.parametrize(("in_1x1", "size"), [(False, 16), (True, 8)])
def test_stride_in_1x1_says_where_a_bottlenecks_stride_is(in_1x1, size):
    config = dataclasses.replace(TINY, name="resnet50", stride_in_1x1=in_1x1)
    _, inside = shapes_of(ResNet(config), IMAGE)
    assert inside["layer2_0/conv1/__call__"] == (2, size, size, 16)
    assert inside["layer2_0/conv2/__call__"] == (2, 8, 8, 16)


def equations(jaxpr):
    """Those of a program, and of the functions with a gradient of their own that it calls."""
    for eqn in jaxpr.eqns:
        yield eqn
        if "call_jaxpr" in eqn.params:
            yield from equations(eqn.params["call_jaxpr"])


@pytest.mark.parametrize(("name", "convs"), [("resnet50", 3), ("resnet18", 4)])
def test_dilated_res5_keeps_stride_16_and_dilates_its_3x3_convolutions(name, convs):
    net = ResNet(dataclasses.replace(TINY, name=name, dilated_res5=True))
    shapes, _ = shapes_of(net, IMAGE)
    assert [shape[1:3] for shape in shapes] == [(16, 16), (8, 8), (4, 4), (4, 4)]
    variables = jax.eval_shape(net.init, jax.random.key(0), IMAGE)
    jaxpr = jax.make_jaxpr(net.apply)(variables, IMAGE)
    dilated = [
        eqn.invars[1].aval.shape[:2]
        for eqn in equations(jaxpr)
        if eqn.primitive.name == "conv_general_dilated" and eqn.params["rhs_dilation"] == (2, 2)
    ]
    assert dilated == [(3, 3)] * convs


def frozen_norm(rng, channels):
    drawn = {name: rng.normal(size=channels) for name in ("scale", "bias", "mean")}
    return {**drawn, "var": rng.uniform(0.5, 1.5, channels)}


def block_variables(rng, layers):
    """Random kernels and frozen norms: layers name (conv, norm) -> the kernel's shape."""
    kernels = {conv: {"kernel": rng.normal(size=shape)} for (conv, _), shape in layers.items()}
    norms = {norm: frozen_norm(rng, shape[-1]) for (_, norm), shape in layers.items()}
    return {"params": kernels, "constants": norms}


def conv_norm_in_numpy(numpy_conv, variables, conv, norm, x, **options):
    constants = variables["constants"][norm]
    y = numpy_conv(x, variables["params"][conv]["kernel"], **options)
    y = (y - constants["mean"]) / np.sqrt(constants["var"] + 1e-5)
    return y * constants["scale"] + constants["bias"]


def test_basic_block_agrees_with_numpy(numpy_conv):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1, 5, 6, 3))
    variables = block_variables(
        rng,
        {
            ("conv1", "bn1"): (3, 3, 3, 4),
            ("conv2", "bn2"): (3, 3, 4, 4),
            ("downsample_0", "downsample_1"): (1, 1, 3, 4),
        },
    )

    def layer(conv, norm, x, **options):
        return conv_norm_in_numpy(numpy_conv, variables, conv, norm, x, **options)

    y = np.maximum(layer("conv1", "bn1", x, stride=2, padding=1), 0)
    y = layer("conv2", "bn2", y, padding=1) + layer("downsample_0", "downsample_1", x, stride=2)
    block = BasicBlock(ConvNorm("frozen", False, "float32"), channels=4, stride=2, dilation=1)
    got = jax.jit(block.apply)(variables, x)
    np.testing.assert_allclose(got, np.maximum(y, 0), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("in_1x1", [False, True])
def test_bottleneck_agrees_with_numpy(numpy_conv, in_1x1):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1, 5, 6, 3))
    variables = block_variables(
        rng,
        {
            ("conv1", "bn1"): (1, 1, 3, 4),
            ("conv2", "bn2"): (3, 3, 2, 4),
            ("conv3", "bn3"): (1, 1, 4, 8),
            ("downsample_0", "downsample_1"): (1, 1, 3, 8),
        },
    )

    def layer(conv, norm, x, **options):
        return conv_norm_in_numpy(numpy_conv, variables, conv, norm, x, **options)

    y = np.maximum(layer("conv1", "bn1", x, stride=2 if in_1x1 else 1), 0)
    y = layer("conv2", "bn2", y, stride=1 if in_1x1 else 2, padding=1, groups=2)
    y = layer("conv3", "bn3", np.maximum(y, 0))
    y += layer("downsample_0", "downsample_1", x, stride=2)
    block = Bottleneck(
        ConvNorm("frozen", False, "float32"),
        channels=8,
        inner_channels=4,
        groups=2,
        stride=2,
        dilation=1,
        stride_in_1x1=in_1x1,
    )
    got = jax.jit(block.apply)(variables, x)
    np.testing.assert_allclose(got, np.maximum(y, 0), rtol=1e-3, atol=1e-3)


def test_without_stride_the_shortcut_is_the_input():
    block = BasicBlock(ConvNorm("frozen", False, "float32"), channels=3, stride=1, dilation=1)
    x = np.random.default_rng(0).normal(size=(1, 4, 4, 3)).astype(np.float32)
    variables = jax.tree.map(jnp.zeros_like, jax.jit(block.init)(jax.random.key(0), x))
    np.testing.assert_array_equal(jax.jit(block.apply)(variables, x), np.maximum(x, 0))


def test_frozen_modules_are_the_stem_and_the_first_stages():
    assert frozen_modules("resnet50", 0) == ()
    assert frozen_modules("resnet50", 1) == ("conv1", "bn1")
    stem_and_res2 = ("conv1", "bn1", "layer1_0", "layer1_1", "layer1_2")
    assert frozen_modules("resnet50", 2) == stem_and_res2
    assert set(frozen_modules("resnet18", 5)) == set(parameters_of(TINY))


def gradient_of(config):
    net = ResNet(config)
    variables = jax.jit(net.init)(jax.random.key(0), IMAGE)

    def loss(params):
        maps, new = net.apply(
            {**variables, "params": params}, IMAGE, train=True, mutable=["batch_stats"]
        )
        return sum(jnp.sum(x**2) for x in maps), new["batch_stats"]

    compiled = jax.jit(jax.grad(loss, has_aux=True)).lower(variables["params"]).compile()
    grads, statistics = compiled(variables["params"])
    return grads, variables["batch_stats"], statistics, compiled.cost_analysis()["flops"]


def moved(before, after):
    """Names of the top-level modules in which something differs."""
    same = jax.tree.map(np.array_equal, before, after)
    return {name for name, leaves in same.items() if not all(jax.tree.leaves(leaves))}


def test_frozen_stages_have_no_gradient_no_new_statistics_and_no_backward_pass():
    grads, before, after, flops = gradient_of(dataclasses.replace(TINY, frozen_stages=3))
    frozen = set(frozen_modules("resnet18", 3))
    trained = set(grads) - frozen
    assert moved(jax.tree.map(np.zeros_like, grads), grads) == trained
    assert moved(before, after) == trained & set(before)
    grads, before, after, all_flops = gradient_of(TINY)
    assert moved(jax.tree.map(np.zeros_like, grads), grads) == frozen | trained
    assert moved(before, after) == set(before)
    # The stem, res2 and res3 are half of the forward work, and a backward pass costs twice that.
    assert flops < 0.8 * all_flops


def test_bfloat16_is_close_to_float32():
    config = dataclasses.replace(TINY, norm="group")
    variables = jax.jit(ResNet(config).init)(jax.random.key(0), IMAGE)
    exact = jax.jit(ResNet(config).apply)(variables, IMAGE)
    rough = jax.jit(ResNet(config, dtype="bfloat16").apply)(variables, IMAGE)
    for ours, theirs in zip(rough, exact, strict=True):
        assert ours.dtype == jnp.bfloat16
        error = np.linalg.norm(np.asarray(ours, np.float32) - theirs) / np.linalg.norm(theirs)
        assert error < 0.05

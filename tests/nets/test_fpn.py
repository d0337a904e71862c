import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrcnn.nets.fpn import FPN, upsample


def make_maps(*sizes, channels=(3, 4, 5)):
    rng = np.random.default_rng(0)
    return tuple(
        rng.normal(size=(2, *size, c)).astype(np.float32)
        for size, c in zip(sizes, channels, strict=False)
    )


@pytest.mark.parametrize("size", [(6, 8), (5, 7), (6, 7), (1, 1), (13, 2)])
def test_upsampling_is_nearest_neighbour_to_the_finer_size(size):
    coarse = tuple(-(-side // 2) for side in size)
    x = np.random.default_rng(0).normal(size=(2, *coarse, 3)).astype(np.float32)
    rows, columns = (
        np.floor(np.arange(fine) * (small / fine)).astype(int)
        for fine, small in zip(size, coarse, strict=True)
    )
    got = jax.jit(upsample, static_argnums=(1, 2))(x, *size)
    np.testing.assert_array_equal(got, x[:, rows][:, :, columns])


def test_upsampling_refuses_maps_that_are_not_of_neighbouring_strides():
    with pytest.raises(ValueError, match="not half"):
        upsample(jnp.zeros((1, 4, 4, 1)), 8, 5)


def test_a_map_of_the_same_stride_is_as_large_already():
    x = np.random.default_rng(0).normal(size=(1, 4, 3, 2)).astype(np.float32)
    np.testing.assert_array_equal(jax.jit(upsample, static_argnums=(1, 2))(x, 4, 3), x)


def test_agrees_with_numpy_at_odd_sizes(numpy_conv):
    maps = make_maps((5, 7), (3, 4), (2, 2))
    fpn = FPN(channels=6)
    variables = jax.jit(fpn.init)(jax.random.key(0), maps)
    p = jax.tree.map(np.asarray, variables["params"])
    rng = np.random.default_rng(1)
    for layer in p.values():
        layer["bias"] = rng.normal(size=6).astype(np.float32)
    inner = [
        numpy_conv(x, p[f"inner_{i}"]["kernel"]) + p[f"inner_{i}"]["bias"]
        for i, x in enumerate(maps)
    ]
    inner[1] = inner[1] + inner[2].repeat(2, 1).repeat(2, 2)[:, :3, :4]
    inner[0] = inner[0] + inner[1].repeat(2, 1).repeat(2, 2)[:, :5, :7]
    expected = [
        numpy_conv(x, p[f"layer_{i}"]["kernel"], padding=1) + p[f"layer_{i}"]["bias"]
        for i, x in enumerate(inner)
    ]
    expected.append(expected[2][:, :1, :1])
    got = jax.jit(fpn.apply)({"params": p}, maps)
    assert len(got) == 4
    for ours, theirs in zip(got, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


def test_initialised_with_xavier_fill_and_no_bias():
    variables = jax.jit(FPN(channels=64).init)(jax.random.key(0), make_maps((2, 2), channels=(48,)))
    layers = variables["params"]
    for name, fan_in in (("inner_0", 48), ("layer_0", 9 * 64)):
        largest = np.max(np.abs(layers[name]["kernel"]))
        assert 0.98 * np.sqrt(3 / fan_in) < largest <= np.sqrt(3 / fan_in)
        np.testing.assert_array_equal(layers[name]["bias"], np.zeros(64))


@pytest.mark.parametrize("norm", ["group", "batch"])
def test_a_norm_follows_every_convolution_and_replaces_its_bias(norm):
    maps = make_maps((4, 4), (2, 2))
    params = jax.eval_shape(FPN(8, norm).init, jax.random.key(0), maps)["params"]
    convs = {f"{kind}_{level}" for kind in ("inner", "layer") for level in (0, 1)}
    norms = {f"{kind}_bn_{level}" for kind in ("inner", "layer") for level in (0, 1)}
    assert set(params) == convs | norms
    assert all(set(params[name]) == {"kernel"} for name in convs)

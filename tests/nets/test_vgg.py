import jax
import jax.numpy as jnp
import numpy as np

from jaxrcnn.nets.vgg import VGG16, frozen_modules


def test_has_the_published_number_of_parameters():
    params = jax.eval_shape(VGG16().init, jax.random.key(0), jnp.zeros((1, 32, 32, 3)))["params"]
    assert sum(p.size for p in jax.tree.leaves(params)) == 14_714_688
    assert len(params) == 13


def test_stride_is_16_and_odd_sizes_round_down():
    vgg, image = VGG16(), jnp.zeros((2, 79, 64, 3))
    (features,), _ = jax.eval_shape(vgg.init_with_output, jax.random.key(0), image)
    assert features.shape == (2, 4, 4, 512)


def test_frozen_modules_are_the_first_blocks():
    assert frozen_modules(0) == ()
    assert frozen_modules(2) == ("conv1_1", "conv1_2", "conv2_1", "conv2_2")
    assert len(frozen_modules(5)) == 13


def test_the_frozen_blocks_alone_have_no_gradient():
    vgg = VGG16(frozen_stages=2)
    x = jax.random.normal(jax.random.key(1), (1, 16, 16, 3))
    params = jax.jit(vgg.init)(jax.random.key(0), x)["params"]
    grads = jax.jit(jax.grad(lambda p: jnp.sum(vgg.apply({"params": p}, x)[0] ** 2)))(params)
    frozen = {name for name, grad in grads.items() if not np.any(grad["kernel"])}
    assert frozen == set(frozen_modules(2))

"""The operation with which a function stops being finite."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrcnn.training.blame import describe, find_origin

X = np.float32([1, -5, 3])


def line_of(text):
    """The line of this file that ends so."""
    lines = pathlib.Path(__file__).read_text().splitlines()
    (number,) = (k for k, line in enumerate(lines, 1) if line.endswith(f"  # {text}"))
    return number


def place_of(origin):
    """The file's name and line of an origin."""
    file, line = origin.where.split(" (")[0].rsplit(":", 1)
    return pathlib.Path(file).name, int(line)


def logarithm(x):
    with jax.named_scope("mine"):
        y = jnp.log(x)  # log
    return (y * 2).sum()


def test_the_first_nan_names_its_line_scope_and_values():
    origin = find_origin(lambda x: {"y": logarithm(x + 1)}, ["x"], X)
    assert origin.operation == "log"
    assert place_of(origin) == ("test_blame.py", line_of("log"))
    assert origin.scope == "mine"
    assert origin.inputs == ("float32[3]: -4 to 4",)
    assert origin.output == "float32[3]: 0.693147 to 1.38629, 1 of 3 NaN"
    assert (origin.place, origin.size) == ((1,), 3)


def test_the_backward_pass_names_the_line_of_the_forward_pass():
    def root(x):
        return jnp.sqrt(x).sum()  # sqrt

    origin = find_origin(jax.grad(root), ["x"], np.float32([4, 0]))
    assert place_of(origin) == ("test_blame.py", line_of("sqrt"))
    assert "infinite" in origin.output


def test_an_overflow_is_where_it_began_and_not_where_it_became_nan():
    def function(x):
        y = jnp.exp(100 * x)  # exp
        return y - y

    origin = find_origin(function, ["x"], X)
    assert origin.operation == "exp"
    assert place_of(origin) == ("test_blame.py", line_of("exp"))


def test_an_infinity_that_reaches_no_result_is_none():
    def function(x):
        masked = jnp.where(x > 0, x, -jnp.inf)
        return masked.max(), jnp.where(x == 0, 1 / jnp.maximum(x, 0), x)

    assert find_origin(function, ["x"], X) is None


def test_a_mask_is_to_blame_only_for_what_is_done_with_it():
    def function(x):
        masked = jnp.where(x > 0, x, -jnp.inf)
        return masked * 0  # times

    origin = find_origin(function, ["x"], X)
    assert (origin.operation, place_of(origin)[1]) == ("mul", line_of("times"))


def test_loops_are_looked_into():
    def scanned(x):
        return jax.lax.scan(lambda c, r: (c + r, jnp.log(c)), jnp.float32(1), x)[1]  # scan

    def repeated(x):
        def body(at):
            k, y = at
            return k + 1, y / (k - 2) * 0  # while

        return jax.lax.while_loop(lambda at: at[0] < 5, body, (0.0, x))

    origin = find_origin(scanned, ["x"], X)
    assert (origin.operation, place_of(origin)[1]) == ("log", line_of("scan"))
    assert origin.inputs == ("float32[]: -3 to -3",)
    origin = find_origin(repeated, ["x"], X)
    assert (origin.operation, place_of(origin)[1]) == ("div", line_of("while"))


def test_branches_calls_and_rules_of_ones_own_are_looked_into():
    @jax.custom_vjp
    def own(x):
        return jnp.log(x)  # own

    own.defvjp(lambda x: (own(x), x), lambda x, g: (g,))

    @jax.jit
    def called(x):
        return jax.lax.cond(x[0] > 0, jax.checkpoint(own), jnp.exp, x)

    origin = find_origin(called, ["x"], X)
    assert (origin.operation, place_of(origin)[1]) == ("log", line_of("own"))


def test_an_argument_that_is_not_finite_is_named():
    origin = find_origin(lambda x, y: x + y, ["x", "y"], X, np.float32([1, 2, np.nan]))
    assert (origin.operation, origin.where) == ("", "y")
    assert origin.output == "float32[3]: 1 to 2, 1 of 3 NaN"
    assert origin.place == (2,)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((2, 0), np.float32), "float32[2, 0]"),
        (np.int32([[1]]), "int32[1, 1]"),
        (jnp.bfloat16([1, 2]), "bfloat16[2]: 1 to 2"),
        (np.float32([np.inf, np.nan]), "float32[2]: 1 of 2 NaN, 1 of 2 infinite"),
    ],
)
def test_arrays_in_words(array, words):
    assert describe(array) == words

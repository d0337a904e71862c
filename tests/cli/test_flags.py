import pytest

from jaxrcnn.cli.flags import read_flags, split_flags
from jaxrcnn.config import ConfigError

TYPES = {"--workdir": str, "--config.a.size": int, "--config.a.sides": tuple[int, ...]}


@pytest.mark.parametrize(
    ("argv", "flags"),
    [
        ([], []),
        (["a", "b"], [("", ["a", "b"])]),
        (["--x", "1", "2", "--y"], [("--x", ["1", "2"]), ("--y", [])]),
        (["--x=1", "2"], [("--x", ["1", "2"])]),
        (["--x="], [("--x", [""])]),
        (["--a-b.c-d=e-f", "g-h"], [("--a_b.c_d", ["e-f", "g-h"])]),
        (["--x", "-1", "-.5", "-"], [("--x", ["-1", "-.5", "-"])]),
        (["--x", "1", "-h"], [("--x", ["1"]), ("-h", [])]),
    ],
)
def test_words_follow_their_flag(argv, flags):
    assert split_flags(argv) == flags


def test_an_earlier_name_is_replaced_and_a_note_says_so(capsys):
    assert split_flags(["--config.eval.pictures=3"]) == [("--config.eval.images", ["3"])]
    note = "note: --config.eval.pictures is now called --config.eval.images\n"
    assert capsys.readouterr().err == note


@pytest.mark.parametrize(
    ("field", "line"),
    [
        ("model.detections.pre_nms", "it no longer exists"),
        (
            "train.optimizer.decay_norm_and_bias",
            "it is now called --config.train.optimizer.decay_norms and "
            "--config.train.optimizer.decay_biases",
        ),
    ],
)
def test_an_earlier_name_without_a_successor_of_its_own_is_refused(field, line):
    with pytest.raises(ConfigError) as caught:
        read_flags(split_flags([f"--config.{field}", "1"]), TYPES)
    assert str(caught.value) == f"unknown field --config.{field}; {line}"


def test_each_flag_has_a_value_and_the_last_one_counts():
    flags = [("--config.a.size", ["1"]), ("--workdir", ["w"]), ("--config.a.size", ["2"])]
    assert read_flags(flags, TYPES) == {"--config.a.size": 2, "--workdir": "w"}


@pytest.mark.parametrize(
    ("flag", "line"),
    [
        (("", ["x", "y"]), "unexpected 'x y'; fields are set by --config.FIELD VALUE"),
        (("-workdir", ["w"]), "unknown field -workdir; did you mean --workdir?"),
        (("--config.size", ["1"]), "unknown field --config.size; did you mean --config.a.size?"),
        (("--config.a", ["1"]), "unknown field --config.a; it is a group of .size, .sides"),
        (("--config.a.q", ["1"]), "unknown field --config.a.q; --config.a has size, sides"),
        (
            ("--config.q.q", ["1"]),
            "unknown field --config.q.q; `jaxrcnn train --help-all` lists all fields",
        ),
        (("--config.a.size", ["x"]), "--config.a.size: got 'x', expected int"),
        (("--config.a.size", []), "--config.a.size: got nothing, expected int"),
    ],
)
def test_a_fault_is_one_line(flag, line):
    with pytest.raises(ConfigError) as error:
        read_flags([("--config.a.sides", ["1"]), flag, ("--also-wrong", [])], TYPES)
    assert str(error.value) == line

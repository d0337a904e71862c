import pathlib
import re
import subprocess
import sys

import pytest

from jaxrcnn.cli.options import apply_prediction_fields, parse_train_arguments
from jaxrcnn.config import AlternatingStep, Config, ConfigError
from jaxrcnn.config_io import field_types, field_values

SHAPES = """
from jaxrcnn.config import Config, DataConfig, TrainConfig

def get_config():
    return Config(seed=5, data=DataConfig(format="shapes"), train=TrainConfig(batch_size=3))
"""


@pytest.fixture
def shapes(tmp_path):
    path = tmp_path / "shapes.py"
    path.write_text(SHAPES)
    return path


@pytest.fixture
def parse(shapes):
    return lambda *words: parse_train_arguments(words, default_config=shapes)


@pytest.fixture
def complain(parse, capsys):
    """The one line that a command line ends in."""

    def complain(*words):
        with pytest.raises(SystemExit) as stop:
            parse(*words)
        assert stop.value.code == 2
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.startswith("error: ")
        assert said.err.count("\n") == 1
        return said.err.removeprefix("error: ").strip()

    return complain


def test_without_arguments_the_default_config_and_a_workdir_of_its_name(parse):
    arguments = parse()
    assert arguments.config.seed == 5
    assert arguments.config.train.batch_size == 3
    assert arguments.config_name == "shapes"
    assert arguments.workdir == pathlib.Path("runs/shapes")


def test_an_earlier_name_of_a_field_works_and_the_new_one_is_said(parse, capsys):
    config = parse("--config.eval.pictures", "3", "--config.data.num-train-pictures=7").config
    assert (config.eval.images, config.data.num_train_images) == (3, 7)
    assert capsys.readouterr().err.splitlines() == [
        "note: --config.eval.pictures is now called --config.eval.images",
        "note: --config.data.num-train-pictures is now called --config.data.num_train_images",
    ]


def test_an_earlier_name_in_a_config_file_is_refused_with_the_new_one(complain, tmp_path):
    old = tmp_path / "old.py"
    old.write_text(SHAPES.replace('format="shapes"', 'format="shapes", num_eval_pictures=3'))
    assert complain("--config", str(old)).endswith(
        "data.num_eval_pictures is now called data.num_eval_images"
    )


def test_config_and_workdir_are_taken_with_a_space_or_an_equals_sign(parse, tmp_path):
    other = tmp_path / "other.py"
    other.write_text(SHAPES.replace("seed=5", "seed=6"))
    spaced = parse("--config", str(other), "--workdir", "a/b")
    joined = parse(f"--config={other}", "--workdir=a/b")
    assert spaced == joined
    assert spaced.config.seed == 6
    assert spaced.config_name == "other"
    assert spaced.workdir == pathlib.Path("a/b")
    assert parse("--config", str(other)).workdir == pathlib.Path("runs/other")


def test_pieces_are_named_and_not_looked_for(parse, complain):
    assert parse().pieces is None
    assert parse("--pieces", "my_fork:build", "--config.seed", "6").pieces == "my_fork:build"
    assert parse("--pieces=my_fork:build").pieces == "my_fork:build"
    assert complain("--pieces", "a:b", "c:d") == "c:d: there is no such folder"
    assert complain("--piece", "a:b").endswith("did you mean --pieces?")


@pytest.mark.parametrize(
    ("words", "pick", "value"),
    [
        (["--config.train.steps", "2000"], lambda c: c.train.steps, 2000),
        (["--config.train.steps=2000"], lambda c: c.train.steps, 2000),
        (["--config.data.train-short-sides", "8"], lambda c: c.data.train_short_sides, (8,)),
        (["--config.model.rpn.box_weight", "1"], lambda c: c.model.rpn.box_weight, 1.0),
        (["--config.model.rpn.box_weight", "1e-3"], lambda c: c.model.rpn.box_weight, 1e-3),
        (["--config.model.neck.norm", "group"], lambda c: c.model.neck.norm, "group"),
        (["--config.train.init="], lambda c: c.train.init, ""),
        (["--config.train.init", "a b=c"], lambda c: c.train.init, "a b=c"),
        (["--config.train.init=a=b"], lambda c: c.train.init, "a=b"),
        (["--config.data.train_splits", "a", "b"], lambda c: c.data.train_splits, ("a", "b")),
        (["--config.data.train_splits=a"], lambda c: c.data.train_splits, ("a",)),
        (["--config.data.train_splits", "('a', 'b')"], lambda c: c.data.train_splits, ("a", "b")),
        (["--config.data.classes"], lambda c: c.data.classes, ()),
        (["--config.data.classes", "()"], lambda c: c.data.classes, ()),
        (["--config.model.pixel_mean", "-1", "2", "3"], lambda c: c.model.pixel_mean, (-1, 2, 3)),
        (["--config.model.pixel_mean", "[1, 2, 3]"], lambda c: c.model.pixel_mean, (1, 2, 3)),
        (
            ["--config.model.anchors.sizes", "((8,), (16,), [32], (64,), (128,))"],
            lambda c: c.model.anchors.sizes,
            ((8,), (16,), (32,), (64,), (128,)),
        ),
        (["--config.seed", "1", "--config.seed", "2"], lambda c: c.seed, 2),
    ],
)  # fmt: skip
def test_a_field_is_set(parse, words, pick, value):
    assert pick(parse(*words).config) == value


@pytest.mark.parametrize("word", ["False", "false", "0"])
def test_words_for_false(parse, word):
    flag = "--config.model.proposals.stop_gradient"
    assert parse(flag, word).config.model.proposals.stop_gradient is False


@pytest.mark.parametrize("word", ["True", "true", "1"])
def test_words_for_true(parse, word):
    flag = "--config.data.keep_difficult"
    assert parse(flag, word).config.data.keep_difficult is True


def test_what_is_set_is_all_that_changes_and_the_config_is_frozen(parse):
    plain, changed = parse().config, parse("--config.model.anchors.ratios", "1", "2").config
    assert changed != plain
    assert hash(changed) != hash(plain)
    assert changed.train == plain.train
    assert changed.model.rpn == plain.model.rpn
    assert type(changed) is Config
    assert all(isinstance(ratio, float) for ratio in changed.model.anchors.ratios)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ["--config.model.rpn.sampels", "3"],
            "unknown field --config.model.rpn.sampels; did you mean --config.model.rpn.samples?",
        ),
        (
            ["--config.rpn.samples=3"],
            "unknown field --config.rpn.samples; did you mean --config.model.rpn.samples?",
        ),
        (
            ["--train.steps", "3"],
            "unknown field --train.steps; did you mean --config.train.steps?",
        ),
        (["--confg", "a.py"], "unknown field --confg; did you mean --config?"),
        (
            ["--config.zzz", "3"],
            "unknown field --config.zzz; `jaxrcnn train --help-all` lists all fields",
        ),
        (
            ["--config.model.neck", "c4"],
            "unknown field --config.model.neck; it is a group of .name, .channels, .norm",
        ),
        (
            ["--config.eval.zzz", "3"],
            "unknown field --config.eval.zzz; --config.eval has metric, backend, max_detections, "
            "batch_size, images",
        ),
        (["--config.train.steps", "many"], "--config.train.steps: got 'many', expected int"),
        (["--config.train.steps", "1.5"], "--config.train.steps: got '1.5', expected int"),
        (["--config.train.steps", "1", "2"], "--config.train.steps: got '1 2', expected int"),
        (["--config.train.steps"], "--config.train.steps: got nothing, expected int"),
        (["--config.train.steps="], "--config.train.steps: got '', expected int"),
        (
            ["--config.model.neck.name", "fpm"],
            "--config.model.neck.name: got 'fpm', expected one of fpn, c4, c5 (nearest: fpn)",
        ),
        (
            ["--config.data.skip_empty", "maybe"],
            "--config.data.skip_empty: got 'maybe', expected True or False",
        ),
        (
            ["--config.data.skip_empty"],
            "--config.data.skip_empty: got nothing, expected True or False",
        ),
        (
            ["--config.model.pixel_mean", "1", "2"],
            "--config.model.pixel_mean: got '1 2', expected 3 float values",
        ),
        (
            ["--config.data.train_short_sides", "640,800"],
            "--config.data.train_short_sides: got '640,800', expected any number of int values",
        ),
        (
            ["--config.data.train_splits", "('a', 3)"],
            "--config.data.train_splits: got '('a', 3)', expected any number of str values",
        ),
        (
            ["--config.model.anchors.sizes", "8", "16"],
            "--config.model.anchors.sizes: got '8 16', "
            "expected a tuple of tuples such as '((8,), (16, 32))'",
        ),
        (
            ["--config.model.anchors.sizes", "((8,), (16,)"],
            "--config.model.anchors.sizes: got '((8,), (16,)', "
            "expected a tuple of tuples such as '((8,), (16, 32))'",
        ),
        (["many"], "many: there is no such folder"),
        (
            ["tiny"],
            "tiny: there is no such folder; for the config of this name, write --config tiny",
        ),
        ([__file__], f"{__file__} is a file; give the folder that contains the data set"),
        (["--workdir"], "--workdir: got nothing, expected a path"),
        (["--workdir", "a", "b"], "b: there is no such folder"),
        (["--config"], "--config: got nothing, expected a name or a file"),
        (["--config="], "--config: got '', expected a name or a file"),
        # The first of several faults is named.
        (
            ["--config.train.batch_size", "4", "--config.seed", "x", "--config.zzz", "3"],
            "--config.seed: got 'x', expected int",
        ),
        # Combinations are refused at once, too.
        (
            ["--config.model.neck.name", "c4"],
            "--config.model.anchors.sizes needs one tuple per feature level: "
            "resnet50 with c4 has 1, got 5",
        ),
        (
            ["--config.data.format", "coco"],
            "--config.data.root is empty: data.format=coco needs the folder that contains "
            "annotations/",
        ),
    ],
)
def test_wrong_input_ends_in_one_line(complain, words, line):
    assert complain(*words) == line


def test_a_config_file_that_is_not_there_and_its_neighbour(complain, shapes):
    missing = shapes.with_name("shaeps.py")
    assert complain("--config", str(missing)) == f"no config file {missing}; nearest: {shapes}"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("x = 1", "{path}: has no get_config()"),
        ("def get_config():\n    return {}", "{path}: get_config() returned dict, not Config"),
        (
            "def get_config():\n    return confg",
            "{path}, line 2: NameError: name 'confg' is not defined",
        ),
        ("def get_config(", "{path}: SyntaxError: '(' was never closed (wrong.py, line 1)"),
        ("def get_config():\n    raise KeyError('get_config')", "{path}, line 2: KeyError: "),
        ("def get_config():\n    raise ValueError('a\\nb')", "{path}, line 2: ValueError: a b"),
        (
            "from jaxrcnn.config import *\n"
            "def get_config():\n    return Config(model=ModelConfig(rpn=RpnConfig(sampels=3)))",
            "{path}, line 3: TypeError: ",
        ),
        (
            "from jaxrcnn.config import *\n"
            "def get_config():\n    return Config(train=TrainConfig(steps='many'))",
            "{path}: train.steps='many' is invalid: expected int",
        ),
        (
            "from jaxrcnn.config import *\n"
            "def get_config():\n    return Config(model=ModelConfig(neck=RpnConfig()))",
            "{path}: unknown field model.neck.",
        ),
    ],
)
def test_whatever_is_wrong_in_a_config_file_is_one_line(complain, tmp_path, text, line):
    path = tmp_path / "wrong.py"
    path.write_text(text)
    assert complain("--config", str(path)).startswith(line.format(path=path))


def test_a_config_file_may_write_lists_and_whole_numbers(parse, tmp_path):
    path = tmp_path / "lists.py"
    path.write_text(
        "from jaxrcnn.config import *\n"
        "def get_config():\n"
        "    anchors = AnchorConfig(sizes=[[8], [16], [32], [64], [128]])\n"
        "    return Config(model=ModelConfig(anchors=anchors), data=DataConfig(format='shapes'))"
    )
    config = parse("--config", str(path)).config
    assert config.model.anchors.sizes == ((8.0,), (16.0,), (32.0,), (64.0,), (128.0,))
    assert isinstance(hash(config), int)


def test_a_config_file_that_was_just_changed_is_read_anew(parse, shapes):
    assert parse().config.seed == 5
    shapes.write_text(SHAPES.replace("seed=5", "seed=7"))
    assert parse().config.seed == 7


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["--help-all"], ["--help_all"]])
def test_help_has_the_defaults_of_the_config_file_and_ends_the_program(parse, capsys, words):
    with pytest.raises(SystemExit) as stop:
        parse("--config.seed", "many", *words)
    assert not stop.value.code
    said = capsys.readouterr()
    assert said.err == ""
    text = " ".join(said.out.split())
    assert "(default: runs/shapes)" in text
    assert re.search(r"--config.train.batch_size [^;]* \(int; default: 3\)", text)
    shown = set(re.findall(r"^  --config\.(\S+)", said.out, re.MULTILINE))
    assert (shown == field_types().keys()) == ("all" in words[0])


def test_the_version_is_said(parse, capsys):
    with pytest.raises(SystemExit) as stop:
        parse("--version")
    assert not stop.value.code
    assert capsys.readouterr().out == "jaxrcnn 0.1.0\n"


def test_no_stack_trace_reaches_a_person(shapes):
    program = (
        "import pathlib, sys; from jaxrcnn.cli.options import parse_train_arguments; "
        "parse_train_arguments(default_config=pathlib.Path(sys.argv.pop(1)))"
    )
    words = [str(shapes), "--config.train.stps", "3"]
    run = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True)
    assert run.returncode == 2
    assert run.stderr == (
        "error: unknown field --config.train.stps; did you mean --config.train.steps?\n"
    )


def test_a_tuple_of_steps_takes_one_literal_and_fills_in_what_it_leaves_out(parse):
    flag = "--config.train.alternating.steps"
    words = "[{'trains': 'rpn', 'steps': 5}, {'trains': 'fast_rcnn', 'restart': ['box_head']}]"
    first, second = parse(flag, words).config.train.alternating.steps
    assert first == AlternatingStep("rpn", steps=5)
    assert second == AlternatingStep("fast_rcnn", restart=("box_head",))


@pytest.mark.parametrize(
    "words", ["[{'trains': 'rpm'}]", "[{'trians': 'rpn'}]", "[3]", "[{", "rpn", "[{'steps': 1.5}]"]
)
def test_a_wrong_tuple_of_steps_is_one_line(words, complain):
    flag = "--config.train.alternating.steps"
    assert complain(flag, words) == (
        f"{flag}: got '{words}', expected a tuple of dicts with trains, backbone, restart, "
        "steps, milestones"
    )


@pytest.mark.parametrize(
    ("words", "field", "value"),
    [
        (["--config.score_threshold", "0.25"], "model.detections.score_threshold", 0.25),
        (["--config.model.detections.nms-iou=1"], "model.detections.nms_iou", 1.0),
        (["--config.proposals.nms_iou", "1"], "model.proposals.nms_iou", 1.0),
        (["--config.short_side", "320"], "data.short_side", 320),
    ],
)
def test_fields_of_a_trained_model_are_set_by_the_end_of_their_names(words, field, value):
    before, after = Config(), apply_prediction_fields(Config(), words)
    changed = {k: v for k, v in field_values(after).items() if v != field_values(before)[k]}
    assert changed == {field: value}


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ["--config.num_classes", "3"],
            "--config.model.num_classes cannot be changed: the weights were trained with 80 and "
            "depend on it",
        ),
        (["--config.score_treshold", "1"], "--config.score_treshold is not a field; did you mean "),
        (["--config.min_size", "1"], "--config.min_size is ambiguous: it may be model.proposals."),
        (
            ["--config.max_detections", "many"],
            "--config.model.detections.max_detections: got 'many', expected int",
        ),
        (
            ["--config.score_threshold", "7"],
            "--config.model.detections.score_threshold=7.0 must be between 0 and 1",
        ),
    ],
)
def test_wrong_fields_of_a_trained_model_are_one_line(words, line):
    with pytest.raises(ConfigError) as caught:
        apply_prediction_fields(Config(), words)
    assert str(caught.value).startswith(line)

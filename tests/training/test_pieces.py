"""What a folder says of pieces of one's own, and what it makes of others."""

import functools
import hashlib
import inspect
import json
import sys
import types

import flax.linen as nn
import jax
import pytest

from jaxrcnn.config import ConfigError
from jaxrcnn.detector import build
from jaxrcnn.stages.gate import gate
from jaxrcnn.training.pieces import Piece, claim_pieces, fitting_detector, own_pieces, write_pieces
from tests.tiny import FPN_MODEL, MODEL


def own_gate(rois, config, gates=None):
    return gate(rois, config, gates)


class OwnHead(nn.Module):
    classes: int = 3


def own_optimizer(config, first_step):
    raise NotImplementedError


HERE = own_gate.__module__


def digest(*sources):
    return hashlib.sha256("".join(map(inspect.getsource, sources)).encode()).hexdigest()


def test_what_a_config_describes_is_nobodys_own():
    assert own_pieces(build(MODEL)) == {}
    assert own_pieces(build(FPN_MODEL), optimizer=None, transforms=()) == {}


def test_functions_and_modules_are_called_by_where_they_are_defined():
    found = own_pieces(build(MODEL, gate=own_gate, box_head=OwnHead(5)), optimizer=own_optimizer)
    assert found == {
        "box_head": Piece(f"{HERE}.OwnHead", digest(OwnHead)),
        "gate": Piece(f"{HERE}.own_gate", digest(own_gate)),
        "optimizer": Piece(f"{HERE}.own_optimizer", digest(own_optimizer)),
    }


def test_what_wraps_a_function_is_called_by_its_name():
    expected = {"gate": Piece(f"{HERE}.own_gate", digest(own_gate))}
    part = functools.partial(own_gate, gates=None)
    for wrapped in (
        part,
        functools.partial(part),
        jax.jit(own_gate),
        jax.named_scope("a")(own_gate),
    ):
        assert own_pieces(build(MODEL, gate=wrapped)) == expected


def test_several_are_named_in_their_order():
    found = own_pieces(build(MODEL), transforms=(own_optimizer, OwnHead()))
    name = f"{HERE}.own_optimizer, {HERE}.OwnHead"
    both = digest(own_optimizer).encode() + digest(OwnHead).encode()
    assert found == {"transforms": Piece(name, hashlib.sha256(both).hexdigest())}


@pytest.mark.parametrize(
    ("spec", "file", "name"),
    [
        (None, "/somewhere/my_fork.py", "my_fork"),  # python /somewhere/my_fork.py
        ("forks.mine", "/forks/mine.py", "forks.mine"),  # python -m forks.mine
        (None, None, "__main__"),  # typed in
    ],
)
def test_a_program_that_is_run_is_called_as_it_is_imported(spec, file, name, monkeypatch):
    main = types.ModuleType("__main__")
    main.__spec__ = spec and types.SimpleNamespace(name=spec)
    if file:
        main.__file__ = file
    monkeypatch.setitem(sys.modules, "__main__", main)
    monkeypatch.setattr(own_gate, "__module__", "__main__")
    assert own_pieces(build(MODEL, gate=own_gate))["gate"].name == f"{name}.own_gate"


def typed_in(text):
    names = {"__name__": "typed_in"}
    exec(text, names)
    return names["own"]


def test_what_has_no_source_is_known_by_its_name_alone(tmp_path):
    first, second = typed_in("def own(*_): return 1"), typed_in("def own(*_): return 2")
    own, other = (own_pieces(build(MODEL, gate=x)) for x in (first, second))
    assert own == other == {"gate": Piece("typed_in.own", None)}
    said = []
    claim_pieces(tmp_path, own, said.append)
    claim_pieces(tmp_path, other, said.append)
    assert said == []


def test_a_run_goes_on_with_the_same_pieces_and_says_so_if_one_has_changed(tmp_path):
    said = []
    own = own_pieces(build(MODEL, gate=own_gate), optimizer=own_optimizer)
    claim_pieces(tmp_path, own, said.append)
    claim_pieces(tmp_path, own, said.append)
    assert said == []
    claim_pieces(tmp_path, {**own, "gate": own["gate"]._replace(source="other")}, said.append)
    assert said == [f"{tmp_path}: the source of gate {HERE}.own_gate has changed since it was made"]
    written = json.loads((tmp_path / "pieces.json").read_text())
    assert {name: Piece(**piece) for name, piece in written.items()} == own


GATE, OPTIMIZER = (
    {"gate": Piece("mine.gate", "1")},
    {"optimizer": Piece("mine.lion", "2")},
)


@pytest.mark.parametrize(
    ("written", "own", "said"),
    [
        (GATE, {}, "made with gate mine.gate, not with the default; the folder does not"),
        ({}, GATE, "made with the default pieces, not with gate mine.gate; give the"),
        (
            GATE,
            {"gate": Piece("mine.other", "1")},
            "made with gate mine.gate, not with gate mine.other; give the same pieces",
        ),
        (
            {**GATE, **OPTIMIZER},
            GATE,
            "made with optimizer mine.lion, not with the default; give the same pieces",
        ),
    ],
)
def test_a_run_of_other_pieces_is_stopped_by_their_names(written, own, said, tmp_path):
    claim_pieces(tmp_path, written, print)
    with pytest.raises(ConfigError) as stop:
        claim_pieces(tmp_path, own, print)
    assert str(stop.value).startswith(f"{tmp_path} was {said}")
    assert "\n" not in str(stop.value)


def test_in_use_only_the_pieces_of_inference_have_to_be_there(tmp_path):
    write_pieces(tmp_path, {**GATE, **OPTIMIZER, "roi_losses": Piece("mine.losses", "3")})
    assert fitting_detector(tmp_path, MODEL) == build(MODEL)
    write_pieces(tmp_path, {**GATE, "infer": Piece("mine.infer", "3")})
    with pytest.raises(ConfigError, match=r"made with infer mine\.infer, not"):
        fitting_detector(tmp_path, MODEL)


def test_a_folder_that_does_not_say_takes_any(tmp_path):
    detector = build(MODEL, box_head=OwnHead())
    assert fitting_detector(tmp_path, MODEL, lambda _: detector) == detector


def test_a_build_that_returns_something_else_is_one_line(tmp_path):
    with pytest.raises(ConfigError, match=r"^build must return what .* returns, not a OwnHead$"):
        fitting_detector(tmp_path, MODEL, lambda _: OwnHead())


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"\xff",
        b"[]",
        b'{"gate": "mine.gate"}',
        b'{"gate": {"name": "mine.gate"}}',
        b'{"gate": {"name": 5, "source": null}}',
        b'{"gate": {"name": "mine.gate", "source": 5}}',
    ],
)
def test_a_broken_file_is_one_line(text, tmp_path):
    path = tmp_path / "pieces.json"
    path.write_bytes(text)
    with pytest.raises(ConfigError) as stop:
        claim_pieces(tmp_path, GATE, print)
    assert str(stop.value).startswith(f"{path} cannot be read (")
    assert "\n" not in str(stop.value)


def test_a_folder_in_place_of_the_file_is_one_line(tmp_path):
    (tmp_path / "pieces.json").mkdir()
    with pytest.raises(ConfigError, match=r"pieces\.json cannot be read \("):
        claim_pieces(tmp_path, GATE, print)

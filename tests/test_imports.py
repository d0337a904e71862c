"""Who may import whom, read from the syntax trees, and what the core needs in order to run."""

import ast
import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from typing import NamedTuple

import pytest

ROOT = pathlib.Path(__file__).parents[1]
PROGRAMS = {"record_torchvision", "time_torchvision"}  # for another Python; nothing imports them
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((ROOT / "jaxrcnn").rglob("*.py"))
    if path.stem not in PROGRAMS
}

# A room, or one module of it, and all that it may import: rooms or single modules of jaxrcnn, then
# libraries. The room itself and the standard library go without saying.
MAY_IMPORT = {
    "": {"model", "saving"},
    "__main__": {"cli"},
    "types": {"jax"},
    "runtime": set(),
    "runtime.allocator": {"jax"},
    "runtime.cache": {"platformdirs"},
    "runtime.compilation": {"jax"},
    "runtime.executables": {"jax"},
    "runtime.xla": {"jax"},
    "config": {"wording"},
    "peer_fields": set(),
    "wording": set(),
    "opening": set(),
    "writing": set(),
    "config_io": {"config", "peer_fields"},
    "config_names": {"config"},
    "config_file": {"config", "config_io", "config_names", "opening", "wording"},
    "validation": {"config", "config_io", "data.augment"},
    "prediction_fields": {"config", "config_io", "peer_fields", "validation"},
    "ops": {"types", "jax", "numpy"},
    "nets": {"types", "config", "runtime.xla", "jax", "flax"},
    "nets.winograd": {"types", "runtime.xla", "jax", "numpy"},
    "stages": {"types", "config", "ops", "jax"},
    "detector": {"types", "config", "ops", "nets", "stages", "jax"},
    "training": {
        *("types", "config", "config_io", "ops", "nets", "stages", "detector"),
        *(
            "opening",
            "writing",
            "wording",
            "jax",
            "optax",
            "numpy",
            "orbax",
            "rich",
            "tensorboardX",
        ),
        *("google_crc32c", "tensorstore"),
    },
    "training.optimizer": {"config", "nets", "runtime.xla", "jax", "optax"},
    "training.alternating": {"types", "config", "detector", "jax"},
    "training.epochs": {"config", "validation", "wording"},
    "training.divergence": {"types", "config", "stages", "jax", "optax"},
    "training.finite": {"types", "config", "jax", "numpy"},
    "training.skipped": set(),
    "training.blame": {"jax", "numpy"},
    "training.memory": {"types", "config", "runtime.room", "jax"},
    "training.modules": {"types", "detector", "jax"},
    "training.measures": {"types", "config", "ops", "jax"},
    "training.routes": {"types", "config", "detector", "jax"},
    "training.diagnostics": {"types", "config", "stages", "detector", "jax"},
    "training.columns": set(),
    "training.hlo": set(),
    "training.knobs": {"types", "config", "jax", "numpy"},
    "training.gates": {"types", "config", "jax"},
    "training.state": {"types", "config", "detector", "jax"},
    "training.step": {"types", "config", "detector", "jax", "optax"},
    "training.program": {"jax"},
    "training.origin": {
        "opening",
        "writing",
        "__version__",
        "config",
        "config_io",
        "runtime.machine",
        "jax",
    },
    "training.revision": set(),
    "training.trackers": {"config"},
    "training.tracker_kinds": {"config", "config_io", "writing", "tensorboardX", "numpy", "PIL"},
    "training.mesh": {"config", "jax", "numpy"},
    "training.sharding": {"types", "config", "detector", "runtime.xla", "jax"},
    "data": {
        *("types", "config", "opening", "writing", "wording", "runtime.cache"),
        *(
            "numpy",
            "PIL",
            "cv2",
            "simplejpeg",
            "cloudpickle",
            "grain",
            "pyarrow",
            "pycocotools",
            "yaml",
        ),
    },
    "evaluation": {
        *("types", "config", "wording", "opening", "writing", "data", "visualize", "curves"),
        *("pages", "numpy", "PIL", "pycocotools", "faster_coco_eval", "matplotlib"),
    },
    "evaluation.analysis": {"data", "evaluation.coco", "evaluation.matching", "numpy"},
    "evaluation.matching": {"data", "evaluation.coco", "numpy"},
    "evaluation.thresholds": {"config", "opening", "wording", "evaluation.analysis", "numpy"},
    "evaluation.merging": {"config", "ops", "jax", "numpy"},
    "fonts": {"config", "matplotlib", "PIL"},
    "tags": {"fonts", "numpy", "PIL"},
    "sheets": set(),
    "visualize": {"sheets", "tags", "fonts", "numpy", "PIL"},
    "step_images": {"visualize", "fonts", "numpy", "PIL"},
    "curves": {"types", "numpy", "matplotlib"},
    "pages": {"numpy", "PIL", "jinja2", "matplotlib"},
    "run_scores": {"config", "training"},
    "scoring": {
        *("types", "config", "wording", "detector", "training", "data", "evaluation"),
        *("run_scores", "jax"),
    },
    "provenance": {"config", "data", "training", "jax"},
    "feeding": {"types", "config", "training", "data", "evaluation", "scoring", "jax"},
    "run_start": {
        *("config", "detector", "training", "data", "interop", "scoring", "feeding", "provenance"),
    },
    "runs": {
        *("types", "config", "detector", "training", "data", "interop", "run_scores", "scoring"),
        *("feeding", "run_start", "jax"),
    },
    "model": {
        *("types", "config", "detector", "training", "data", "evaluation", "prediction_fields"),
        *("runtime.executables", "runtime.xla", "jax", "numpy"),
    },
    "saving": {"config", "detector", "training", "interop", "jax"},
    "recipe": {"config", "config_io", "wording", "data", "nets.backbone", "numpy"},
    "recipe.anchor_fit": {"config", "ops.anchors", "numpy"},
    "recipe.timing": {"config", "data", "detector", "training", "jax"},
    "checking": {
        *("__version__", "types", "config", "wording", "writing", "data", "detector", "training"),
        *("nets.backbone", "recipe", "pages", "visualize", "curves"),
        *("jax", "numpy", "matplotlib", "PIL"),
    },
    "study": {
        *("types", "config", "config_io", "data", "evaluation", "curves", "training", "runs"),
        *("opening", "writing", "wording", "run_start", "run_scores", "scoring", "provenance"),
        *("detector", "runtime.machine", "runtime.xla", "pages"),
        *("jax", "numpy", "scipy", "matplotlib"),
    },
    "study.job": {"runtime.process"},  # a program
    "study.serving": {"training"},
    "benchmark": {
        *("__version__", "types", "config", "config_io", "ops", "stages", "detector"),
        *("training", "data", "evaluation"),
        *(
            "interop",
            "curves",
            "runtime.machine",
            "runtime.xla",
            "jax",
            "numpy",
            "PIL",
            "matplotlib",
        ),
    },
    "benchmark.trace": {"training"},
    "interop": {
        *("types", "config", "config_io", "peer_fields", "nets", "detector", "training", "wording"),
        *("opening", "jax", "numpy", "filelock", "pooch", "requests", "rich"),
    },
    "interop.published": {"config", "opening"},
    "interop.export": {"types", "config", "ops", "data", "detector", "jax"},
    "interop.parity": {"types", "stages", "detector", "jax", "numpy"},
    "interop.download": {"config", "filelock", "pooch", "requests", "rich"},
    "interop.tensors": {"config", "numpy"},
    "interop.allow_list": {"numpy", "ml_dtypes"},
    "interop.unpickling": set(),
    "interop.torch_files": set(),
    "interop.weight_files": {"opening", "numpy", "ml_dtypes", "safetensors"},
}
FREE = {"cli"}  # it ties everything together
ABOVE_THE_PACKAGE = {"configs", "train", "tests"}

# Under `if TYPE_CHECKING:` nothing is loaded. There, and only there, the package itself and what
# draws a record and its detections may name types.
FOR_TYPES_ONLY = {
    "": {"config", "detector", "training"},
    "visualize": {"data", "evaluation"},
}

# Slow to load, or missing where only a part of the package is used: imported inside the function
# that needs them.
HEAVY = {
    *(
        "PIL",
        "cloudpickle",
        "cv2",
        "faster_coco_eval",
        "filelock",
        "grain",
        "jinja2",
        "matplotlib",
        "pooch",
        "pyarrow",
        "pycocotools",
    ),
    *("requests", "rich", "safetensors", "simplejpeg", "tensorboardX", "torch", "yaml"),
}

CORE_ROOMS = ([], ["types"], ["config"], ["ops"], ["nets"], ["stages"])
CORE = [name for name in MODULES if name.split(".")[1:2] in CORE_ROOMS] + ["jaxrcnn.detector"]
CORE += [
    f"jaxrcnn.training.{name}"
    for name in (
        *(
            "alternating",
            "columns",
            "diagnostics",
            "divergence",
            "finite",
            "gates",
            "knobs",
            "measures",
            "mesh",
            "modules",
        ),
        *("optimizer", "routes", "state", "step", "sharding"),
    )
]


class Import(NamedTuple):
    name: str  # "jaxrcnn.ops.boxes", "jax.numpy"
    for_types: bool  # under `if TYPE_CHECKING:`
    lazy: bool  # inside a function

    @property
    def room(self):
        """The room of jaxrcnn, or the library."""
        parts = self.name.split(".")
        return parts[1] if parts[0] == "jaxrcnn" else parts[0]

    def is_one_of(self, names):
        """Whether its room, its library or the very module is among the names."""
        return self.room in names or self.name.removeprefix("jaxrcnn.") in names


def imports_of(module: str, path: pathlib.Path) -> list[Import]:
    tree = ast.parse(path.read_text())
    return list(_walk(tree, module, path.stem == "__init__", for_types=False, lazy=False))


def _walk(node: ast.AST, module: str, package: bool, for_types: bool, lazy: bool) -> Iterator:
    if isinstance(node, ast.Import):
        yield from (Import(alias.name, for_types, lazy) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            parts = [*module.split("."), *([""] if package else [])]
            base = ".".join(filter(None, [*parts[: -node.level], base]))
        # "from jaxrcnn import ops" and "from jaxrcnn.ops import boxes" import a module
        names = [f"{base}.{alias.name}" for alias in node.names]
        modules = [name if base == "jaxrcnn" or name in MODULES else base for name in names]
        yield from (Import(name, for_types, lazy) for name in dict.fromkeys(modules))
    elif isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
        for child in node.body:
            yield from _walk(child, module, package, True, lazy)
        for child in node.orelse:
            yield from _walk(child, module, package, for_types, lazy)
    else:
        lazy = lazy or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            yield from _walk(child, module, package, for_types, lazy)


def forbidden(module: str, path: pathlib.Path) -> list[str]:
    """The imports of a module that the rule does not allow."""
    name = module.removeprefix("jaxrcnn").removeprefix(".")
    room = name.split(".")[0]
    allowed = MAY_IMPORT.get(name, MAY_IMPORT.get(room, set()))
    found = []
    for item in imports_of(module, path):
        if item.room in sys.stdlib_module_names and not item.name.startswith("jaxrcnn"):
            continue
        fine = item.room == room or item.is_one_of(allowed) or room in FREE
        fine |= item.for_types and item.room in FOR_TYPES_ONLY.get(room, ())
        if not fine or item.room in ABOVE_THE_PACKAGE:
            found.append(item.name)
    return found


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_down_the_order_of_the_rooms(module):
    assert forbidden(module, MODULES[module]) == []


def test_no_module_needs_itself_by_way_of_others():
    needs = {
        name: {item.name for item in imports_of(name, path)} & MODULES.keys()
        for name, path in MODULES.items()
    }
    assert list(TopologicalSorter(needs).static_order())


def test_the_package_loads_no_library_until_one_is_needed():
    script = "import jaxrcnn, sys; print(*{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    loaded = set(done.stdout.split())
    assert "jaxrcnn" in loaded
    assert not loaded & libraries_of_the_package()


def test_every_room_has_a_rule():
    rooms = {name.removeprefix("jaxrcnn").removeprefix(".").split(".")[0] for name in MODULES}
    assert rooms <= MAY_IMPORT.keys() | FREE


@pytest.mark.parametrize("module", MODULES)
def test_heavy_libraries_are_loaded_only_where_they_are_used(module):
    eager = [item for item in imports_of(module, MODULES[module]) if not item.lazy]
    assert [item.name for item in eager if item.room in HEAVY and not item.for_types] == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("jaxrcnn.ops.new", "from jaxrcnn.config import Config"),
        ("jaxrcnn.ops.new", "import flax.linen as nn"),
        ("jaxrcnn.ops.new", "from jaxrcnn import nets"),
        ("jaxrcnn.ops.new", "from ..stages import rpn"),
        ("jaxrcnn.ops.new", "from .. import stages"),
        ("jaxrcnn.ops.new", "def f():\n    import optax"),
        ("jaxrcnn.nets.new", "from jaxrcnn.ops.boxes import clip"),
        ("jaxrcnn.stages.new", "import jaxrcnn.nets.heads"),
        ("jaxrcnn.detector", "import orbax.checkpoint"),
        ("jaxrcnn.training.new", "from jaxrcnn.data.records import Record"),
        ("jaxrcnn.training.step", "import rich"),
        ("jaxrcnn.data.new", "import jax"),
        ("jaxrcnn.nets.new", "from jaxrcnn.runtime.process import prepare_process"),
        ("jaxrcnn.nets.new", "from jaxrcnn.runtime import process"),
        ("jaxrcnn.evaluation.new", "from jaxrcnn.detector import build"),
        (
            "jaxrcnn.data.new",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import jaxrcnn.detector",
        ),
        (
            "jaxrcnn.visualize",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    pass\n"
            "else:\n    import jaxrcnn.data",
        ),
        ("jaxrcnn.cli.new", "from configs.tiny import get_config"),
        ("jaxrcnn.cli.new", "import train"),
        ("jaxrcnn.interop.new", "import torch"),
        ("jaxrcnn.interop.unpickling", "import numpy as np"),
    ],
)
def test_the_rule_notices(module, source, tmp_path):
    path = tmp_path / "new.py"
    path.write_text(source)
    assert len(forbidden(module, path)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("jaxrcnn.ops.new", "from .boxes import clip"),
        ("jaxrcnn.ops.new", "import jax.numpy as jnp\nfrom jaxrcnn.types import Array"),
        ("jaxrcnn.data.new", "def f():\n    from PIL import Image"),
        ("jaxrcnn.nets.new", "from jaxrcnn.runtime import xla"),
        ("jaxrcnn.nets.new", "from jaxrcnn.runtime.xla import computed_once"),
        (
            "jaxrcnn.visualize",
            "import typing\nif typing.TYPE_CHECKING:\n    from jaxrcnn.data.records import Record",
        ),
    ],
)
def test_the_rule_lets_pass(module, source, tmp_path):
    path = tmp_path / "new.py"
    path.write_text(source)
    assert forbidden(module, path) == []


# flax.linen loads these itself (flax 0.12: summary.py, recurrent.py, serialization.py), so they are
# there wherever flax is; that the core does not import them is for the tests above to say. orbax
# comes with flax too, but flax loads it when it writes a checkpoint and not before.
LOADED_BY_FLAX = {"absl", "msgpack", "rich", "typing_extensions", "yaml"}
CORE_LIBRARIES = {"jax", "ml_dtypes", "flax", "optax", "numpy"}  # jax brings ml_dtypes

STEP_WITHOUT_THE_REST = '''
import importlib, sys

class Missing:
    """As if these were not installed."""

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

BLOCKED, CORE = map(lambda names: names.split(","), sys.argv[1:])
sys.meta_path.insert(0, Missing())
for name in CORE:
    importlib.import_module(name)

import numpy as np
from jaxrcnn.config import *
from jaxrcnn.detector import build
from jaxrcnn.training.sharding import compile_programs
from jaxrcnn.types import Batch

model = ModelConfig(
    num_classes=2,
    backbone=BackboneConfig(name="resnet18", norm="none", frozen_stages=0, width=8),
    neck=NeckConfig(name="c4"),
    anchors=AnchorConfig(sizes=((16.0, 32.0),)),
    rpn=RpnConfig(channels=8, samples=16),
    proposals=ProposalsConfig(pre_nms_train=16, post_nms_train=8),
    roi=RoiConfig(output_size=2),
    box_head=BoxHeadConfig(channels=8, samples=4),
)
config = Config(model=model, train=TrainConfig(batch_size=1), eval=EvalConfig(batch_size=1))
batch = Batch(
    images=np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3), np.uint8),
    image_sizes=np.array([[64, 64]], np.int32),
    image_index=np.zeros(1, np.int32),
    image_weights=np.ones(1, np.float32),
    boxes=np.array([[[8, 8, 40, 40]]], np.float32),
    labels=np.ones((1, 1), np.int32),
    box_valid=np.ones((1, 1), bool),
    box_ignore=np.zeros((1, 1), bool),
    box_weights=np.ones((1, 1), np.float32),
)
programs = compile_programs(build(model), config)
state, metrics = programs.train_step(programs.create_state(), programs.put_batch(batch))
assert int(state.step) == 1 and np.isfinite(metrics["loss"]), metrics
print("stepped")
'''


def libraries_of_the_package() -> set[str]:
    rooms = {item.room for name, path in MODULES.items() for item in imports_of(name, path)}
    ours = {name.split(".")[1] for name in MODULES if "." in name}
    return rooms - ours - set(sys.stdlib_module_names) - {"jaxrcnn"}


def test_the_core_steps_with_jax_flax_optax_and_numpy_alone():
    blocked = libraries_of_the_package() - CORE_LIBRARIES - LOADED_BY_FLAX
    assert {"orbax", "grain", "pycocotools", "PIL", "matplotlib"} <= blocked
    settings = {  # as in tests/conftest.py
        "JAX_COMPILATION_CACHE_DIR": str(ROOT / ".jax_cache"),
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
        "JAX_PLATFORMS": "cpu",
    }
    done = subprocess.run(
        [sys.executable, "-c", STEP_WITHOUT_THE_REST, ",".join(sorted(blocked)), ",".join(CORE)],
        cwd=ROOT,
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.stdout == "stepped\n", done.stderr

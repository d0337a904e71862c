"""Run folders and studies with made-up numbers."""

import dataclasses
import json
import math

import numpy as np

from jaxrcnn.config import AlternatingConfig, AlternatingStep, Config, ProposalsConfig, TrainConfig
from jaxrcnn.config_io import config_to_json
from jaxrcnn.study.results import Failure, Point, RunResult, Study

SCHEMES = ("approximate", "exact", "pooling", "targets", "late", "alternating")

ALTERNATING = AlternatingConfig(
    steps=(
        AlternatingStep("rpn", steps=40),
        AlternatingStep("fast_rcnn", steps=20),
        AlternatingStep("rpn", backbone="frozen", steps=40),
        AlternatingStep("fast_rcnn", backbone="frozen", steps=20),
    )
)


def make_config(scheme="approximate", steps=120, batch_size=4):
    gates = {
        "exact": ProposalsConfig(stop_gradient=False),
        "pooling": ProposalsConfig(stop_gradient=False, target_gradient=0.0),
        "targets": ProposalsConfig(stop_gradient=False, pooling_gradient=0.0),
        "late": ProposalsConfig(stop_gradient=False, open_after=steps // 3),
    }
    train = TrainConfig(
        scheme="alternating" if scheme == "alternating" else "joint",
        steps=steps,
        batch_size=batch_size,
        alternating=ALTERNATING,
    )
    config = Config(train=train)
    proposals = gates.get(scheme, ProposalsConfig())
    return dataclasses.replace(config, model=dataclasses.replace(config.model, proposals=proposals))


def write_run(folder, config, rows):
    """A run's folder with its two files."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(config_to_json(config))
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def make_study(runs, **fields):
    runs = tuple(runs)
    values = {
        "title": "shapes",
        "command": "python -m jaxrcnn study --config configs/shapes.py --seeds 3",
        "date": "2026-11-25",
        "machine": {"devices": "2 CPU cores", "python": "3.11.2", "jax": "0.10.2"},
        "schemes": tuple(dict.fromkeys(run.scheme for run in runs)),
        "seeds": tuple(sorted({run.seed for run in runs})),
        "steps": 1000,
        "batch_size": 4,
        "train_set": "256 images of drawn shapes",
        "eval_set": "64 images of drawn shapes",
        "runs": runs,
    }
    return Study(**{**values, **fields})


def make_points(scores, every=100, batch_size=4, step_seconds=0.5):
    """Evaluations with these AP values, one every so many steps."""
    return tuple(
        Point(
            step,
            step * batch_size,
            step * step_seconds,
            {"AP": ap, "AP50": min(1.0, 1.4 * ap), "AP75": 1.1 * ap, "AR100": 1.2 * ap},
        )
        for step, ap in zip(range(every, 10**9, every), scores, strict=False)
    )


def make_run(scheme="approximate", seed=0, aps=(0.1, 0.3, 0.5), step_seconds=0.5, **fields):
    """A finished run of 1000 steps with these AP values at even distances."""
    every = 1000 // max(1, len(aps))
    values = {
        "folder": f"runs/{scheme}-{seed}",
        "status": "finished",
        "wall_seconds": 700.0,
        "steps_done": every * len(aps),
        "train_seconds": every * len(aps) * step_seconds,
        "points": make_points(aps, every, step_seconds=step_seconds),
        "losses": tuple((step, 2 * math.exp(-step / 300) + 0.5) for step in range(20, 1001, 20)),
    }
    return RunResult(scheme, seed, **{**values, **fields})


def diverged_run(scheme="exact", seed=0, step=137, aps=(), **fields):
    """A run whose loss was not finite at a step."""
    failure = Failure(
        step,
        f"step {step}: loss_box_reg is not finite (first seen in the RPN's box deltas for image "
        "<a&b>.jpg).",
    )
    losses = tuple((s, 2.0 + (s / step) ** 4) for s in range(20, step, 20))
    values = {
        "status": "diverged",
        "failure": failure,
        "losses": losses,
        "steps_done": step,
        "train_seconds": 0.5 * step,
        "points": make_points(aps, max(1, step // (len(aps) + 1))),
    }
    return make_run(scheme, seed, **{**values, **fields})


def waiting_run(scheme="late", seed=0):
    """A run that was not begun."""
    return RunResult(scheme, seed, f"runs/{scheme}-{seed}", "waiting")


def make_diagnostics(seed, stage="joint"):
    """Rows as a run with diagnostics writes them; those of alternating training have no routes."""
    rng = np.random.default_rng(seed)
    sizes = {"direct": 1.0, "pooling": 0.05, "targets": 0.4}
    losses = {
        "direct": ("rpn_objectness", "rpn_box", "box_class", "box_reg"),
        "pooling": ("box_class", "box_reg"),
        "targets": ("box_class", "box_reg"),
    }
    rows = []
    for step in range(50, 1001, 50):
        row = {"step": step, "drift/gate": 1e-4 * step, "width/0.5": 20.0 + rng.normal()}
        row["cosine/open"] = float(np.clip(rng.normal(0.1, 0.2), -1, 1))
        for route in sizes if stage == "joint" else ("direct",):
            for loss in losses[route]:
                for module in (
                    "backbone/layer1",
                    "backbone/layer4",
                    "neck",
                    "rpn/hidden",
                    "rpn/box",
                ):
                    reaches = module != "rpn/box" or (loss == "rpn_box") == (route == "direct")
                    reaches &= (loss, route) != ("box_class", "targets")
                    value = sizes[route] * float(np.exp(rng.normal(0, 0.3) - step / 800))
                    row[f"gradient/{loss}/{route}/{module}"] = value if reaches else 0.0
        rows.append(row)
    return tuple(rows)


def full_study(seeds=3, schemes=SCHEMES):
    """Every scheme with several seeds, one diverged run and diagnostics."""
    runs = []
    heights = {"approximate": 0.58, "exact": 0.53, "pooling": 0.585, "targets": 0.55, "late": 0.57}
    costs = {"alternating": 0.34, "exact": 0.62, "pooling": 0.6}
    for scheme in schemes:
        for seed in range(seeds):
            rng = np.random.default_rng([seed, SCHEMES.index(scheme)])
            top = heights.get(scheme, 0.56) + rng.normal(0, 0.008)
            steps = np.arange(100, 1001, 100)
            aps = top * (1 - np.exp(-steps / 220.0)) + rng.normal(0, 0.006, len(steps))
            run = make_run(
                scheme,
                seed,
                [float(ap) for ap in aps],
                costs.get(scheme, 0.5) * (1 + 0.02 * seed),
                settings=SETTINGS[scheme],
                diagnostics=make_diagnostics(
                    seed, "alternating" if scheme == "alternating" else "joint"
                ),
            )
            noise = np.exp(rng.normal(0, 0.08, len(run.losses)))
            losses = tuple((s, float(v * n)) for (s, v), n in zip(run.losses, noise, strict=True))
            run = dataclasses.replace(run, losses=losses)
            if scheme == "alternating":
                run = as_alternating(run)
            runs.append(run)
    if "exact" in schemes and seeds > 1:
        place = runs.index(next(run for run in runs if run.scheme == "exact" and run.seed == 1))
        runs[place] = diverged_run("exact", 1, 437, (0.2, 0.33), settings=SETTINGS["exact"])
    return make_study(runs)


SETTINGS = {
    "approximate": {},
    "exact": {"model.proposals.stop_gradient": "False"},
    "pooling": {
        "model.proposals.stop_gradient": "False",
        "model.proposals.target_gradient": "0.0",
    },
    "targets": {
        "model.proposals.stop_gradient": "False",
        "model.proposals.pooling_gradient": "0.0",
    },
    "late": {"model.proposals.stop_gradient": "False", "model.proposals.open_after": "333"},
    "alternating": {
        "train.scheme": "alternating",
        "train.alternating.steps": "rpn 300, fast_rcnn 200, rpn 300, fast_rcnn 200",
    },
}


def as_alternating(run):
    """With evaluations in the Fast R-CNN phases only, and losses that jump between phases."""
    starts = (0, 300, 500, 800)
    in_rpn = [any(a < step <= b for a, b in ((0, 300), (500, 800))) for step, _ in run.losses]
    losses = tuple(
        (step, 0.3 * loss if rpn else 0.7 * loss)
        for (step, loss), rpn in zip(run.losses, in_rpn, strict=True)
    )
    points = tuple(p for p in run.points if 300 < p.step <= 500 or p.step > 800)
    return dataclasses.replace(run, losses=losses, points=points, phase_starts=starts)

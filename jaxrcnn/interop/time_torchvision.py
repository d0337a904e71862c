"""torchvision, timed: a program of its own, for a Python that has torchvision and nothing of ours.

It reads requests from stdin and answers on stdout, a JSON object on one line each:

    {"do": "hello", "threads": N}                -> versions and the device
    {"do": "train" | "predict", "name": ...}     -> milliseconds by setting; the best one is kept
    {"do": "nms" | "align" | "align to features", "name": ...}
    {"do": "run", "name": ..., "steps": N}       -> seconds of each
    {"do": "memory", "name": ...}                -> most bytes held since the last such request
    {"do": "drop", "name": ...}

What a request is about lies in .npz files that it names; see jaxrcnn/benchmark/peer.py.
"""

import contextlib
import ctypes
import gc
import json
import re
import statistics
import sys
import time
import warnings
from typing import NamedTuple

import numpy as np
import torch
import torchvision
from record_torchvision import build_with_weights  # the program beside this one
from torchvision.ops import MultiScaleRoIAlign, nms

CUDA = torch.cuda.is_available()
DEVICE = torch.device("cuda" if CUDA else "cpu")
TRIAL = 3  # steps of each setting, after one to warm up


class Case(NamedTuple):
    """What was prepared under a name."""

    call: object  # does it once
    before: int  # resident bytes without it


def main():
    """Answer requests until stdin ends."""
    warnings.filterwarnings("ignore")
    torch.manual_seed(0)
    cases = {}
    answers = {
        "hello": hello,
        "run": lambda request: {"seconds": run(cases[request["name"]].call, request["steps"])},
        "drop": lambda request: {"dropped": bool(cases.pop(request["name"]))},
        "memory": lambda request: memory(cases[request["name"]]),
    }
    for line in sys.stdin:
        request = json.loads(line)
        if request["do"] in answers:
            answer = answers[request["do"]](request)
        else:
            cases[request["name"]], answer = prepare(request)
        print(json.dumps(answer), flush=True)


def hello(request):
    """Versions, after the threads are set."""
    torch.set_num_threads(request["threads"])
    name = torch.cuda.get_device_name() if CUDA else "cpu"
    return {"torch": torch.__version__, "torchvision": torchvision.__version__, "device": name}


def prepare(request):
    """The case of the fastest setting, and the milliseconds or the complaint of each.

    The settings are tried one by one and the fastest is made anew, so that what the others and the
    compiler left behind does not count as its memory.
    """
    arrays = np.load(request["arrays"])
    arrays = {name: torch.from_numpy(arrays[name]).to(DEVICE) for name in arrays.files}
    if request["do"] in ("train", "predict"):
        calls = detector_calls(request, arrays)
    else:
        calls = {"plain": op_call(request, arrays)}
    took = {setting: trial(make) for setting, make in calls.items()}
    ran = {setting: ms for setting, ms in took.items() if isinstance(ms, float)}
    if not ran:
        raise RuntimeError(f"no setting runs: {took}")
    before = settled_bytes()
    call = calls[min(ran, key=ran.get)]()
    run(call, 1)
    return Case(call, before), {"settings": took}


def trial(make):
    """Milliseconds of a step of a setting, or why it does not run: this torch may lack it."""
    try:
        call = make()
        run(call, 1)
        return 1e3 * statistics.median(run(call, TRIAL))
    except Exception as error:
        return str(error).strip().splitlines()[0][:200]


def run(call, steps):
    """Seconds of each of so many calls."""
    seconds = []
    for _ in range(steps):
        began = time.perf_counter()
        call()
        if CUDA:
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - began)
    return seconds


def memory(case):
    """The most bytes since the last request: resident ones, and those of arrays.

    The arrays are the GPU's, or else what became resident since before the case was made.
    """
    resident = resident_bytes("VmHWM")
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w") as stream:
        stream.write("5")
    arrays = resident - case.before
    if CUDA:
        arrays = torch.cuda.max_memory_allocated()
        torch.cuda.reset_peak_memory_stats()
    return {"arrays": arrays, "resident": resident}


def settled_bytes():
    """Resident bytes once what is free has gone back to the system."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):  # another C library than glibc
        ctypes.CDLL(None).malloc_trim(0)
    return resident_bytes("VmRSS")


def resident_bytes(name):
    """VmRSS, now, or VmHWM, the most; Linux alone says them."""
    try:
        with open("/proc/self/status", encoding="ascii") as stream:
            return 1024 * int(re.search(name + r":\s+(\d+) kB", stream.read())[1])
    except OSError:
        return 0


def detector_calls(request, arrays):
    """A function for each setting that makes the model and returns its step."""
    settings = [(False, False), (True, False)]
    if hasattr(torch, "compile"):
        settings.append((True, True))
    names = {(False, False): "plain", (True, False): "channels_last", (True, True): "compiled"}

    def make(channels_last, compiled):
        model = build(request)
        if channels_last:
            model = model.to(memory_format=torch.channels_last)
        if compiled:
            model.backbone = torch.compile(model.backbone)
        steps = {"train": training_step, "predict": prediction}
        return steps[request["do"]](model, request, arrays)

    return {names[setting]: lambda setting=setting: make(*setting) for setting in settings}


def build(request):
    """The detector with the weights of the request, its first stages frozen."""
    model = build_with_weights(request)
    for name, parameter in model.backbone.body.named_parameters():
        parameter.requires_grad_(not name.startswith(tuple(request["frozen"])))
    return model.to(DEVICE)


def autocast(request):
    """bfloat16 where the request computes in it."""
    if request["dtype"] == "bfloat16":
        return torch.autocast(DEVICE.type, torch.bfloat16)
    return contextlib.nullcontext()


def scaled_images(arrays):
    """(3, H, W) float32 of 0..1 each, as torchvision takes them."""
    return [x.permute(2, 0, 1).float() / 255 for x in arrays["images"]]


def training_step(model, request, arrays):
    """Forward, backward and update."""
    optimizer = torch.optim.SGD(
        [x for x in model.parameters() if x.requires_grad], **request["sgd"]
    )
    images = scaled_images(arrays)
    truth = [
        {"boxes": boxes, "labels": labels.long()}
        for boxes, labels in zip(arrays["boxes"], arrays["labels"])
    ]
    model.train()

    def step():
        with autocast(request):
            loss = sum(model(images, truth).values())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    return step


def prediction(model, request, arrays):
    """Detections."""
    images = scaled_images(arrays)
    model.eval()

    def step():
        with torch.inference_mode(), autocast(request):
            model(images)

    return step


def op_call(request, arrays):
    """A function that returns the op's call."""
    if request["do"] == "nms":
        return lambda: lambda: nms(arrays["boxes"], arrays["scores"], request["iou"])
    size = tuple(request["size"])
    maps = {
        str(level): arrays[f"map{level}"].permute(2, 0, 1)[None].contiguous()
        for level in range(len(arrays) - 2)
    }
    pool = MultiScaleRoIAlign(list(maps), request["side"], request["samples"])
    if request["do"] == "align":

        def forward():
            with torch.inference_mode():
                pool(maps, [arrays["boxes"]], [size])

        return lambda: forward
    for x in maps.values():
        x.requires_grad_()
    pooled = pool(maps, [arrays["boxes"]], [size])
    cotangent = arrays["cotangent"].permute(0, 3, 1, 2).contiguous()
    return lambda: (
        lambda: torch.autograd.grad(pooled, list(maps.values()), cotangent, retain_graph=True)
    )


if __name__ == "__main__":
    main()

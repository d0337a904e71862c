"""Record weight files of torch: python record_torch.py writes the folder torch_VERSION here.

Needs torch and numpy, and nothing of this project. Run with torch 1.13 and with 2.13.
"""

import collections
import pathlib

import numpy as np
import torch

RNG = np.random.default_rng(0)
BASE = RNG.normal(size=(2, 3, 4, 5)).astype(np.float32)
TORCH_TYPES = ("float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint8", "bool")


def cases() -> tuple[dict[str, torch.Tensor], dict[str, np.ndarray]]:
    """Tensors by name, and what they hold; of bfloat16, as float32."""
    tensors, expected = {}, {}

    def case(name: str, tensor: torch.Tensor, values: np.ndarray) -> None:
        tensors[name], expected[name] = tensor, values

    for name in TORCH_TYPES:
        values = RNG.integers(0, 2 if name == "bool" else 100, size=(2, 3)).astype(name)
        case(f"types.{name}", torch.from_numpy(values.copy()), values)
    coarse = np.array([1.0, -0.5, 3.140625, 2.0**-100], np.float32)  # exact in bfloat16
    case("types.bfloat16", torch.tensor(coarse).bfloat16(), coarse)

    base = torch.from_numpy(BASE.copy())
    case("views.whole", base, BASE)
    case("views.transposed", base[0, 0].t(), BASE[0, 0].T)
    case("views.permuted", base.permute(0, 2, 3, 1), BASE.transpose(0, 2, 3, 1))
    case("views.sliced", base[1, 1:, :3, 2:], BASE[1, 1:, :3, 2:])
    case("views.stepped", base[:, ::2, ::3, ::2], BASE[:, ::2, ::3, ::2])
    case("views.one", base[1, 2, 3, 4], BASE[1, 2, 3, 4])
    case("views.none", base[1, 2, 3, 5:], BASE[1, 2, 3, 5:])
    column = base[0, 0, :, :1]
    case("views.expanded", column.expand(4, 6), np.broadcast_to(BASE[0, 0, :, :1], (4, 6)))
    last = torch.from_numpy(BASE.copy()).contiguous(memory_format=torch.channels_last)
    case("views.channels_last", last, BASE)

    case("scalar", torch.tensor(7), np.int64(7))
    case("empty", torch.zeros(0), np.zeros(0, np.float32))
    case("empty.inside", torch.zeros(3, 0, 2, dtype=torch.int32), np.zeros((3, 0, 2), np.int32))
    case("parameter", torch.nn.Parameter(torch.tensor([1.5, -2.5])), np.array([1.5, -2.5], "f4"))
    marked = torch.nn.Parameter(torch.tensor([0.25]))
    marked.mark = "an attribute of its own"
    case("parameter.marked", marked, np.array([0.25], np.float32))
    tied = torch.nn.Parameter(torch.tensor([4.0, 5.0]))
    case("tied.first", tied, np.array([4, 5], np.float32))
    case("tied.second", tied, np.array([4, 5], np.float32))
    return tensors, expected


def checkpoint() -> dict:
    """All that a training loop keeps beside the weights."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2))
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [2, 3])
    model(torch.ones(2, 2)).sum().backward()
    optimizer.step()
    with torch.no_grad():
        for index, value in enumerate(model.state_dict().values()):
            value.fill_(index + 0.5)
    return {
        "epoch": 3,
        "state_dict": collections.OrderedDict(
            (f"module.{name}", value) for name, value in model.state_dict().items()
        ),
        "optimizer": optimizer.state_dict(),
        "schedule": schedule.state_dict(),
        "best": np.float64(0.5),
        "history": np.arange(3.0),
        "size": torch.ones(2, 3).shape,
        "notes": ("a", b"b", b"", None, 2.5, -1, 2**40, True),
    }


def main() -> None:
    version = ".".join(torch.__version__.split(".")[:2])
    folder = pathlib.Path(__file__).with_name(f"torch_{version}")
    folder.mkdir(exist_ok=True)
    tensors, expected = cases()
    np.savez_compressed(folder / "expected.npz", **expected)
    torch.save(tensors, folder / "zip.pth")
    torch.save(tensors, folder / "protocol4.pth", pickle_protocol=4)
    torch.save(tensors, folder / "legacy.pth", _use_new_zipfile_serialization=False)
    torch.save(checkpoint(), folder / "checkpoint_zip.pth")
    torch.save(checkpoint(), folder / "checkpoint_legacy.pth", _use_new_zipfile_serialization=False)
    torch.save(torch.nn.Linear(1, 1), folder / "model.pth")


if __name__ == "__main__":
    main()

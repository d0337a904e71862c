"""Commands as several processes on this machine, each with virtual devices of its own."""

import contextlib
import os
import pathlib
import socket
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[1]

PROGRAM = "number = {}\n{}\nfrom jaxrcnn.cli import program\nprogram()"


def start(words, processes=2, devices=2, before=""):
    """Processes of `jaxrcnn` that meet each other, where they are several.

    Each first runs the code of `before`, which finds its `number`.
    """
    with contextlib.closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "JAX_PLATFORMS": "cpu",
        "JAX_NUM_CPU_DEVICES": str(devices),
        "PYTHONPATH": str(ROOT),
    }
    meeting = ["--coordinator", f"127.0.0.1:{port}", "--processes", str(processes)]
    return [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM.format(number, before), *map(str, words)]
            + ([*meeting, "--process", str(number)] if processes > 1 else []),
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(processes)
    ]


def finish(started, timeout=300):
    """The exit codes and the outputs, (stdout, stderr), of the processes once they have ended."""
    try:
        outputs = [process.communicate(timeout=timeout) for process in started]
    finally:
        for process in started:
            process.kill()
    return [process.returncode for process in started], outputs


def run(words, processes=2, devices=2):
    """The outputs of processes that are to end well."""
    codes, outputs = finish(start(words, processes, devices))
    assert codes == [0] * processes, outputs
    return outputs

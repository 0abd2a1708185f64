#!/usr/bin/env python3
"""Images per second of a training step: onelook and the same network in PyTorch, in one run.

Run from the repository's root, with nothing else on the machine:

    python3 -m venv /tmp/torch && /tmp/torch/bin/pip install torch==2.13.0 numpy
    cargo build -p host --features train
    /tmp/torch/bin/python tools/bench_training.py [--data DIR]

Both train the `micro` network on batches of 160 images with the same loss and AdamW. onelook's
figure includes reading and distorting its images; PyTorch's batch lies ready in memory.
"""

import argparse
import json
import pathlib
import signal
import subprocess
import tempfile
import time

import torch
import torch.nn.functional as F
from torch import nn

CLASSES = 80
STEPS = 60


def block(c_in, c_out, stride=1):
    return [nn.Conv2d(c_in, c_out, 3, stride, 1, bias=False), nn.BatchNorm2d(c_out), nn.ReLU()]


def micro():
    return nn.Sequential(
        *block(1, 32, 2), *block(32, 32), nn.MaxPool2d(2),
        *block(32, 64), *block(64, 64), nn.MaxPool2d(2),
        *block(64, 128), *block(128, 64), nn.MaxPool2d(2), nn.Flatten(),
    )


def pytorch(memory_format, bfloat16):
    net, head = micro().to(memory_format=memory_format), nn.Linear(576, 1)
    optimizer = torch.optim.AdamW([*net.parameters(), *head.parameters()], lr=1e-3)
    images = torch.rand(2 * CLASSES, 1, 48, 48).to(memory_format=memory_format)
    target, same = torch.arange(CLASSES), torch.eye(CLASSES)

    def step():
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bfloat16):
            embeddings = net(images)
        queries, supports = embeddings.float().split(CLASSES)
        logits = head((queries[:, None] - supports[None]).abs()).squeeze(-1)
        loss = (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2
        loss = loss + 0.2 * F.binary_cross_entropy_with_logits(logits, same)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()

    for _ in range(10):
        step()
    start = time.perf_counter()
    for _ in range(STEPS):
        step()
    return STEPS * 2 * CLASSES / (time.perf_counter() - start)


def onelook(data, precision):
    """Trains until the second validation, then stops it as a user would."""
    with tempfile.TemporaryDirectory() as folder:
        config = pathlib.Path(folder, "bench.toml")
        config.write_text(f'[train]\nsteps = 1200\nprecision = "{precision}"\n')
        command = ["target/debug/onelook", "train-export", "--config", config]
        command += ["--out", folder, "--name", "bench"]
        command += ["--data", data] if data else []
        metrics = pathlib.Path(folder, "bench", "metrics.jsonl")
        run = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        while run.poll() is None and len(metrics.read_text().splitlines() if metrics.exists() else []) < 2:
            time.sleep(0.2)
        run.send_signal(signal.SIGINT)
        run.wait()
        return json.loads(metrics.read_text().splitlines()[1])["images_per_second"]


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--data", help="folder with Omniglot")
    data = arguments.parse_args().data
    rows = [
        ("onelook, bfloat16", onelook(data, "bfloat16")),
        ("onelook, float32", onelook(data, "float32")),
        ("PyTorch, float32 as written", pytorch(torch.contiguous_format, False)),
        ("PyTorch, float32, channels last", pytorch(torch.channels_last, False)),
        ("PyTorch, bfloat16, channels last", pytorch(torch.channels_last, True)),
    ]
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, 160 images a step")
    for name, rate in rows:
        print(f"{name:34} {rate:6.0f} images/s  onelook is {rows[0][1] / rate:.2f} times as fast")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Trains a siamese encoder in plain PyTorch and exports it for `onelook import`.

    python3 -m venv /tmp/torch && /tmp/torch/bin/pip install torch==2.13.0 onnx onnxscript numpy pillow
    /tmp/torch/bin/python tools/train_pytorch.py --data DIR --out DIR
    cargo run -p host -- import DIR/siamese.onnx

`--data` holds Omniglot's images_background.zip; only its alphabets train, and five of them are left
out, as onelook leaves them out. Nothing here knows of onelook: it is the usual recipe, a small
convolutional network with batch normalization and a weighted L1 distance (Koch et al. 2015).
"""

import argparse
import io
import json
import pathlib
import time
import zipfile

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

SIDE = 40
N_WAY = 20
EPISODES = 4
HELD_OUT = {"Alphabet_of_the_Magi", "Armenian", "Burmese_(Myanmar)", "Futurama", "Gujarati"}


def block(c_in, c_out, stride=1):
    return [nn.Conv2d(c_in, c_out, 3, stride, 1, bias=False), nn.BatchNorm2d(c_out), nn.ReLU()]


class Siamese(nn.Module):
    """Two images to the logit that they show the same character."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(
            *block(1, 16, 2), *block(16, 24), nn.MaxPool2d(2),
            *block(24, 32), nn.MaxPool2d(2),
            *block(32, 64), *block(64, 48), nn.MaxPool2d(2), nn.Flatten(),
        )
        self.head = nn.Linear(48 * 2 * 2, 1)

    def forward(self, a, b):
        return self.head(torch.abs(self.encoder(a) - self.encoder(b)))


def load(archive):
    """Alphabet -> uint8 [characters, drawers, SIDE, SIDE], 255 = ink."""
    drawings = {}
    with zipfile.ZipFile(archive) as files:
        for name in sorted(files.namelist()):
            if not name.endswith(".png"):
                continue
            alphabet, character = name.split("/")[-3:-1]
            image = Image.open(io.BytesIO(files.read(name))).convert("L")
            image = image.resize((SIDE, SIDE), Image.Resampling.BOX)
            drawings.setdefault(alphabet, {}).setdefault(character, []).append(255 - np.asarray(image))
    return {alphabet: np.stack([np.stack(d) for d in characters.values()])
            for alphabet, characters in drawings.items() if alphabet not in HELD_OUT}


def distort(images, rng):
    """Random rotation, shear, scale and shift, another for each image."""
    n = len(images)
    angle, shear = rng.uniform(-0.3, 0.3, n), rng.uniform(-0.3, 0.3, n)
    scale = rng.uniform(0.8, 1.2, (n, 2))
    theta = np.zeros((n, 2, 3), np.float32)
    theta[:, 0, 0], theta[:, 0, 1] = scale[:, 0] * np.cos(angle), shear - np.sin(angle)
    theta[:, 1, 0], theta[:, 1, 1] = np.sin(angle), scale[:, 1] * np.cos(angle)
    theta[:, :, 2] = rng.uniform(-0.15, 0.15, (n, 2))
    grid = F.affine_grid(torch.from_numpy(theta), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, align_corners=False)


def batch(alphabets, rng):
    """Two drawings each of EPISODES × N_WAY characters; an episode's are from one alphabet."""
    halves = [[], []]
    for _ in range(EPISODES):
        drawings = alphabets[rng.integers(len(alphabets))]
        drawings = np.rot90(drawings, rng.integers(4), (2, 3))
        for character in rng.choice(len(drawings), N_WAY, replace=False):
            for half, drawer in zip(halves, rng.choice(20, 2, replace=False)):
                half.append(drawings[character, drawer])
    images = torch.from_numpy(np.stack(halves[0] + halves[1])[:, None].astype(np.float32) / 255)
    return distort(images, rng)


def train(model, alphabets, minutes, rng):
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=1e-3)
    classes = EPISODES * N_WAY
    target, same = torch.arange(classes), torch.eye(classes)
    start, step = time.monotonic(), 0
    while (progress := (time.monotonic() - start) / (60 * minutes)) < 1:
        optimizer.param_groups[0]["lr"] = 2e-3 * min(1, (step + 1) / 100) * (1 + np.cos(np.pi * progress)) / 2
        queries, supports = model.encoder(batch(alphabets, rng)).split(classes)
        logits = model.head((queries[:, None] - supports[None]).abs()).squeeze(-1)
        loss = (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2
        loss = loss + 0.2 * F.binary_cross_entropy_with_logits(logits, same)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        step += 1
        if step % 100 == 0:
            print(f"step {step}: loss {loss.item():.3f}", flush=True)
    return step


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=pathlib.Path, required=True, help="folder with images_background.zip")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder for the exported files")
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    torch.manual_seed(arguments.seed)
    model = Siamese()
    alphabets = load(arguments.data / "images_background.zip").values()
    alphabets = [drawings for drawings in alphabets if len(drawings) >= N_WAY]
    steps = train(model, alphabets, arguments.minutes, np.random.default_rng(arguments.seed))
    print(f"trained {steps} steps on {len(alphabets)} alphabets")

    # Evaluation mode first: otherwise batch normalization is exported as it trains. The two example
    # images must be two tensors: given one twice, the exporter draws one tower for both.
    model.eval()
    image, other = torch.zeros(1, 1, SIDE, SIDE), torch.ones(1, 1, SIDE, SIDE)
    out = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    for name, dynamo in (("siamese", True), ("siamese-torchscript", False)):
        torch.onnx.export(model, (image, other), str(out / f"{name}.onnx"), dynamo=dynamo)
    torch.onnx.export(model.encoder, (image,), str(out / "encoder.onnx"), dynamo=True)
    head = {"weight": model.head.weight[0].tolist(), "bias": model.head.bias.item()}
    (out / "head.json").write_text(json.dumps(head))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Makes the ONNX files that the tests of `onelook import` read, with what PyTorch says of an image.

    /tmp/torch/bin/python tools/golden_onnx.py      # torch 2.13.0, onnx, onnxscript, numpy

Tiny networks with seeded random weights, by both of PyTorch's exporters. What the exporters add for
people (stack traces, types of values between layers) is dropped: it is most of the bytes.
"""

import contextlib
import io
import json
import pathlib
import warnings

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from torch import nn

OUT = pathlib.Path(__file__).parents[1] / "host/src/import/golden"
SIDE = 16


class Siamese(nn.Module):
    """Layers as they are usually ordered, and the whole comparison: two images to a probability."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 4, 3, 2, 1, bias=False), nn.BatchNorm2d(4), nn.ReLU(),
            nn.Conv2d(4, 4, 3, padding="same", groups=4), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(4, 6, 3, 1, 1), nn.BatchNorm2d(6), nn.ReLU(), nn.AvgPool2d(2), nn.Dropout(), nn.Flatten(),
        )
        self.head = nn.Linear(24, 1)

    def forward(self, a, b):
        return torch.sigmoid(self.head(torch.abs(self.encoder(a) - self.encoder(b))))


class Encoder(nn.Module):
    """Layers in unusual orders, and an embedding with negative values."""

    def __init__(self):
        super().__init__()
        self.first, self.norm = nn.Conv2d(1, 4, 5), nn.BatchNorm2d(4)
        self.second, self.linear, self.last = nn.Conv2d(4, 6, 3), nn.Linear(24, 5), nn.BatchNorm1d(5)

    def forward(self, image):
        x = F.pad((image - 0.2) / 0.7, (1, 1, 1, 1))
        x = self.norm(F.max_pool2d(F.relu(self.first(F.relu(x))), 2))
        x = F.relu(F.max_pool2d(self.second(x), 2))
        return self.last(self.linear(x.view(x.size(0), -1)))


class Mean(nn.Module):
    """Ends with a mean over the image; pads what is not zero where it pads."""

    def __init__(self):
        super().__init__()
        self.norm, self.conv = nn.BatchNorm2d(1), nn.Conv2d(1, 5, 3, 2, 1)

    def forward(self, image):
        return self.conv(self.norm(image)).clamp(min=0).mean((2, 3))


def slim(path):
    model = onnx.load(path)
    del model.graph.value_info[:], model.metadata_props[:], model.graph.metadata_props[:]
    model.doc_string = model.graph.doc_string = ""
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for value in [*model.graph.input, *model.graph.output, *model.graph.initializer]:
        del value.metadata_props[:]
    path.with_name(path.name + ".data").unlink(missing_ok=True)
    onnx.save(model, path)


def export(model, n_inputs, name):
    images = tuple(torch.rand(1, 1, SIDE, SIDE) for _ in range(n_inputs))
    batch = {f"image{i}": {0: "n"} for i in range(n_inputs)}
    exports = {
        "dynamo": dict(dynamo=True),
        "unoptimized": dict(dynamo=True, optimize=False),
        "torchscript": dict(dynamo=False, input_names=list(batch), dynamic_axes=batch),
    }
    for exporter, settings in exports.items():
        path = OUT / f"{name}-{exporter}.onnx"
        with contextlib.redirect_stdout(io.StringIO()):
            torch.onnx.export(model, images, str(path), **settings)
        slim(path)


def main():
    warnings.filterwarnings("ignore")
    torch.manual_seed(7)
    OUT.mkdir(parents=True, exist_ok=True)
    ink = np.random.default_rng(7).integers(0, 256, (2, SIDE, SIDE), np.uint8)
    images = torch.from_numpy(ink[:, None].astype(np.float32) / 255)
    expected = {"ink": ink.reshape(2, -1).tolist()}
    for name, model, n_inputs in [("siamese", Siamese(), 2), ("encoder", Encoder(), 1), ("mean", Mean(), 1)]:
        for _ in range(3):  # gives batch normalization its statistics
            model(*(torch.rand(8, 1, SIDE, SIDE) for _ in range(n_inputs)))
        for norm in model.modules():
            if isinstance(norm, (nn.BatchNorm1d, nn.BatchNorm2d)):
                nn.init.uniform_(norm.weight, 0.5, 1.5)
                nn.init.normal_(norm.bias, std=0.3)
        model.eval()
        export(model, n_inputs, name)
        with torch.no_grad():
            arguments = images.split(1) if n_inputs == 2 else (images,)
            expected[name] = model(*arguments).tolist()
    (OUT / "expected.json").write_text(json.dumps(expected) + "\n")


if __name__ == "__main__":
    main()

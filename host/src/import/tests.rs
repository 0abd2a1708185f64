//! Files of PyTorch's exporters give what PyTorch says; whatever cannot be kept exactly is refused
//! in words; no bytes make the reader panic. `tools/golden_onnx.py` makes the files.

mod broken;
mod build;
mod golden;
mod looks;
mod refusals;

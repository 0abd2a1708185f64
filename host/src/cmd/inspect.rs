//! `onelook inspect`: what is in a model file, layer by layer, and what it costs on a device.

use std::path::PathBuf;

use comfy_table::{Table, presets::ASCII_MARKDOWN};
use serde::Serialize;
use shared::model::{ModelView, Operator};

use super::{Failure, Verdict};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The model file.
    #[arg(value_name = "model.onelook")]
    path: PathBuf,
    /// Print the same as JSON on stdout.
    #[arg(long)]
    json: bool,
}

/// A model file in words.
#[derive(Debug, Serialize)]
struct Inspection {
    file_bytes: usize,
    fingerprint: String,
    provenance: String,
    /// `[h][w][c]`.
    input: [usize; 3],
    arena_bytes: usize,
    embedding_bytes: usize,
    logit_exponent: u8,
    macs: u64,
    layers: Vec<LayerRow>,
}

/// One layer.
#[derive(Debug, Serialize)]
struct LayerRow {
    operator: &'static str,
    kernel: usize,
    stride: usize,
    /// `[h][w][c]`.
    output: [usize; 3],
    weight_bytes: usize,
    macs: u64,
    /// Real output = `q * 2^-exponent`.
    exponent: u8,
    /// Bytes of the arena in use while the layer runs.
    arena_bytes: usize,
    /// Largest sum that any input can reach; below 2^24.
    bound: Option<i64>,
}

pub(super) fn run(args: &Args) -> Result<Verdict, Failure> {
    let path = args.path.display();
    let bytes = std::fs::read(&args.path)
        .map_err(|error| Failure::Work(format!("{path}: {error}; name a model.onelook")))?;
    let model = ModelView::new_checked(&bytes)
        .map_err(|error| Failure::Work(format!("{path}: {error}")))?;
    let inspection = inspect(&model);
    if args.json {
        println!(
            "{}",
            serde_json::to_string_pretty(&inspection).map_err(Failure::work)?
        );
    } else {
        print!("{}", inspection.words());
    }
    Ok(Verdict::Success)
}

fn inspect(model: &ModelView<'_>) -> Inspection {
    let layers = model.layers().map(|layer| {
        let (input, output) = (layer.input(), layer.output());
        let (window, weight_bytes, macs, bound) = match &layer.operator {
            Operator::Conv2d(op) => (op.window(), op.weight_len(), op.macs(), Some(op.bound())),
            Operator::MaxPool2d(op) => (op.window(), 0, 0, None),
        };
        LayerRow {
            operator: layer.name(),
            kernel: window.kernel,
            stride: window.stride,
            output: [output.h, output.w, output.c],
            weight_bytes,
            macs,
            exponent: layer.out_exponent,
            arena_bytes: input.len() + output.len(),
            bound,
        }
    });
    let layers: Vec<LayerRow> = layers.collect();
    let input = model.input();
    Inspection {
        file_bytes: model.bytes().len(),
        fingerprint: crate::dataset::hex(&model.fingerprint()),
        provenance: model.provenance().to_owned(),
        input: [input.h, input.w, input.c],
        arena_bytes: model.arena_len(),
        embedding_bytes: model.embedding_len(),
        logit_exponent: model.decider().logit_exponent(),
        macs: layers.iter().map(|layer| layer.macs).sum(),
        layers,
    }
}

impl Inspection {
    fn words(&self) -> String {
        let mut table = Table::new();
        table.load_style(ASCII_MARKDOWN);
        table.set_header([
            "layer", "operator", "kernel", "stride", "output", "weights", "MAC", "scale", "arena",
            "bound",
        ]);
        for (index, layer) in self.layers.iter().enumerate() {
            let [h, w, c] = layer.output;
            table.add_row([
                index.to_string(),
                layer.operator.to_owned(),
                layer.kernel.to_string(),
                layer.stride.to_string(),
                format!("{h}×{w}×{c}"),
                layer.weight_bytes.to_string(),
                layer.macs.to_string(),
                format!("2^-{}", layer.exponent),
                layer.arena_bytes.to_string(),
                layer
                    .bound
                    .map_or_else(|| "–".to_owned(), |bound| bound.to_string()),
            ]);
        }
        let Self {
            file_bytes,
            fingerprint,
            provenance,
            arena_bytes,
            embedding_bytes,
            ..
        } = self;
        let [h, w, c] = self.input;
        let (macs, exponent) = (self.macs, self.logit_exponent);
        format!(
            "{provenance}\nfingerprint {fingerprint}\n\ninput {h}×{w}×{c}, {macs} MAC per image\n\
             {file_bytes} bytes of flash, {arena_bytes} bytes of arena, {embedding_bytes} bytes for each embedding\n\
             logit = q · 2^-{exponent}\n\n{table}\n\n\
             arena: bytes in use while the layer runs. bound: the largest sum any input can reach; \
             certified below 16777216.\n"
        )
    }
}

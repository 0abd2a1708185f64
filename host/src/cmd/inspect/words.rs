//! What `onelook inspect` prints: sentences and tables.
//!
//! In: an [`Inspection`]. Out: text for a terminal.

use comfy_table::{Table, presets::ASCII_MARKDOWN};

use super::{DeviceCosts, Inspection, Trained, WindowRow};
use crate::boards::Budget;
use crate::calibration::CalibrationReport;
use crate::report::CALIBRATION_NOTE;

impl Inspection {
    pub(super) fn words(&self) -> String {
        let [h, w, c] = self.input;
        let Self {
            provenance,
            macs,
            parameters,
            ..
        } = self;
        let mut words = format!(
            "{provenance}\n\ninput {h}×{w}×{c}, {parameters} parameters, {macs} MAC per image\n"
        );
        if let Some(DeviceCosts {
            file_bytes,
            arena_bytes,
            embedding_bytes,
            ..
        }) = &self.device
        {
            words += &format!(
                "{file_bytes} bytes of flash, {arena_bytes} bytes of arena, {embedding_bytes} bytes for each embedding\n"
            );
        }
        if let Some(Trained {
            fingerprint,
            logit_exponent,
            ..
        }) = &self.trained
        {
            words += &format!("fingerprint {fingerprint}\nlogit = q · 2^-{logit_exponent}\n");
        }
        words += &format!("\n{}\n", self.table());
        if self.trained.is_some() {
            words += "\nbound: the largest sum any input can reach; certified below 16777216.\n";
        }
        if let Some(device) = &self.device {
            words += &format!(
                "\nThe arena, by first and last byte:\n\n{}\n",
                device.table()
            );
            words += &format!(
                "\nModel, and arena with one embedding; the program takes some of both:\n\n{}\n",
                device.boards_table()
            );
        }
        if let Some(trained) = &self.trained {
            words += &trained.unknown();
        }
        for reason in &self.float_only {
            words += &format!("\n{reason}\n");
        }
        words
    }

    fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(ASCII_MARKDOWN);
        table.set_header([
            "layer", "operator", "kernel", "stride", "pad", "output", "weights", "MAC", "scale",
            "bound",
        ]);
        for (index, layer) in self.layers.iter().enumerate() {
            let [h, w, c] = layer.output;
            let window = |field: fn(&WindowRow) -> usize| or_dash(layer.window.as_ref().map(field));
            table.add_row([
                index.to_string(),
                layer.operator.to_owned(),
                window(|window| window.kernel),
                window(|window| window.stride),
                window(|window| window.pad),
                format!("{h}×{w}×{c}"),
                layer.weights.to_string(),
                layer.macs.to_string(),
                or_dash(layer.exponent.map(|exponent| format!("2^-{exponent}"))),
                or_dash(layer.bound),
            ]);
        }
        table
    }
}

impl Trained {
    fn unknown(&self) -> String {
        let Some(calibration) = &self.calibration else {
            return "\nNot calibrated: a mark is unknown below a probability of one half.\n"
                .to_owned();
        };
        let CalibrationReport { draws, pairs, .. } = calibration;
        format!(
            "\nUnknown marks ({draws} draws for each row, {pairs} same-class pairs):\n\n{}\n\n{CALIBRATION_NOTE}\n",
            calibration.table()
        )
    }
}

impl DeviceCosts {
    fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(ASCII_MARKDOWN);
        table.set_header([
            "layers",
            "step",
            "input",
            "scratch",
            "output",
            "bytes in use",
        ]);
        for step in &self.steps {
            let [first, last] = step.layers;
            let layers = if first == last {
                first.to_string()
            } else {
                format!("{first}, {last}")
            };
            let bytes = |[start, end]: [usize; 2]| match end.checked_sub(start + 1) {
                Some(_) => format!("{start}–{}", end - 1),
                None => "–".to_owned(),
            };
            table.add_row([
                layers,
                step.operator.to_owned(),
                bytes(step.input),
                bytes(step.scratch),
                bytes(step.output),
                step.bytes.to_string(),
            ]);
        }
        table
    }

    fn boards_table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(ASCII_MARKDOWN);
        table.set_header(["board", "processor", "flash", "RAM", ""]);
        for budget in &self.boards {
            let Budget { board, .. } = budget;
            let share =
                |share: f64, of: usize| format!("{:.1} % of {} KiB", 100.0 * share, of / 1024);
            let fits = if budget.fits() { "fits" } else { "too large" };
            table.add_row([
                board.name.to_owned(),
                board.core.to_owned(),
                share(budget.flash_share, board.flash),
                share(budget.ram_share, board.ram),
                fits.to_owned(),
            ]);
        }
        table
    }
}

fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| value.to_string())
}

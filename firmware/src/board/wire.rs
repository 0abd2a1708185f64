//! A wire between a board and something else, as the tables of `pins` hold them.
//!
//! In: nothing. Out: the type, and whether no two wires share a pin.

/// A wire between the board and something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wire {
    /// What is at its other end.
    pub what: &'static str,
    /// The GPIO; `None` for power.
    pub gpio: Option<u8>,
    /// The module's pin, as it is counted or printed there; `None` when it is on the board.
    pub pin: Option<&'static str>,
    /// What to know about it.
    pub note: &'static str,
}

/// One.
pub(crate) const fn wire(
    what: &'static str,
    gpio: Option<u8>,
    pin: Option<&'static str>,
    note: &'static str,
) -> Wire {
    Wire {
        what,
        gpio,
        pin,
        note,
    }
}

/// Whether no GPIO has two tasks.
pub(crate) const fn are_distinct(wires: &[Wire]) -> bool {
    let mut i = 0;
    while i < wires.len() {
        let mut j = i + 1;
        while j < wires.len() {
            if let (Some(a), Some(b)) = (wires[i].gpio, wires[j].gpio)
                && a == b
            {
                return false;
            }
            j += 1;
        }
        i += 1;
    }
    true
}

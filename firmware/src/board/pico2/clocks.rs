//! Clocks and resets: from the crystal to 150 MHz for the processor and 48 MHz for USB.
//!
//! In: a chip as the boot ROM leaves it, on its ring oscillator. Out: the clocks of [`SYSTEM_HZ`] and
//! [`USB_HZ`], microseconds for timer and watchdog, and blocks out of reset. Register names are those of the
//! RP2350 datasheet (XOSC, PLL, CLOCKS, TICKS, RESETS).

use crate::board::register::Registers;

/// Of the processor and the peripherals.
pub(super) const SYSTEM_HZ: u32 =
    CRYSTAL_HZ / SYSTEM.reference * SYSTEM.feedback / SYSTEM.divider();
/// Of USB, as its specification wants it.
const USB_HZ: u32 = CRYSTAL_HZ / USB.reference * USB.feedback / USB.divider();
const CRYSTAL_HZ: u32 = 12_000_000;
const _: () = assert!(SYSTEM_HZ == 150_000_000 && USB_HZ == 48_000_000);
/// Else flags of the USB controller may be lost on their way to the processor (erratum RP2350-E12).
const _: () = assert!(SYSTEM_HZ / 11 * 10 >= USB_HZ);

/// A phase-locked loop's numbers.
struct Pll {
    base: usize,
    reference: u32,
    feedback: u32,
    dividers: (u32, u32),
}

impl Pll {
    const fn divider(&self) -> u32 {
        self.dividers.0 * self.dividers.1
    }
}

/// 12 MHz · 125 / (5 · 2).
const SYSTEM: Pll = Pll {
    base: 0x4005_0000,
    reference: 1,
    feedback: 125,
    dividers: (5, 2),
};
/// 12 MHz · 100 / (5 · 5).
const USB: Pll = Pll {
    base: 0x4005_8000,
    reference: 1,
    feedback: 100,
    dividers: (5, 5),
};
/// What the oscillator of a PLL can do, and its dividers.
const _: () = {
    let plls = [SYSTEM, USB];
    let mut i = 0;
    while i < plls.len() {
        let hz = CRYSTAL_HZ / plls[i].reference * plls[i].feedback;
        assert!(hz >= 750_000_000 && hz <= 1_600_000_000);
        assert!(plls[i].dividers.0 >= plls[i].dividers.1 && plls[i].dividers.0 <= 7);
        i += 1;
    }
};

const CLOCKS: usize = 0x4001_0000;
const CLK_REF_CTRL: usize = 0x30;
const CLK_REF_DIV: usize = 0x34;
const CLK_REF_SELECTED: usize = 0x38;
const CLK_SYS_CTRL: usize = 0x3c;
const CLK_SYS_DIV: usize = 0x40;
const CLK_SYS_SELECTED: usize = 0x44;
const CLK_PERI_CTRL: usize = 0x48;
const CLK_PERI_DIV: usize = 0x4c;
const CLK_USB_CTRL: usize = 0x60;
const CLK_USB_DIV: usize = 0x64;
const CLK_SYS_RESUS_CTRL: usize = 0x84;
const REF_FROM_XOSC: u32 = 2;
const SYS_FROM_REF: u32 = 0;
const SYS_FROM_PLL: u32 = 1;
const ENABLE: u32 = 1 << 11;
/// One, in both forms of divider.
const DIV_1: u32 = 1 << 16;

const XOSC: usize = 0x4004_8000;
const XOSC_CTRL: usize = 0x0;
const XOSC_STATUS: usize = 0x4;
const XOSC_STARTUP: usize = 0xc;
/// Range 1 to 15 MHz, and the word that starts it.
const XOSC_RANGE: u32 = 0xaa0;
const XOSC_ENABLE: u32 = 0xfab << 12;
const XOSC_STABLE: u32 = 1 << 31;
/// 64 ms, in units of 256 periods: a slow crystal takes far less.
const XOSC_DELAY: u32 = CRYSTAL_HZ / 1000 * 64 / 256;
const _: () = assert!(XOSC_DELAY < 1 << 14);

const PLL_CS: usize = 0x0;
const PLL_PWR: usize = 0x4;
const PLL_FBDIV_INT: usize = 0x8;
const PLL_PRIM: usize = 0xc;
const PLL_LOCK: u32 = 1 << 31;
/// All of it off: VCO, post dividers, delta-sigma modulator, PLL.
const PLL_OFF: u32 = 0x2d;
const PLL_POST_OFF: u32 = 1 << 3;
const PLL_VCO_ON: u32 = PLL_OFF & !(1 << 5 | 1);

const TICKS: usize = 0x4010_8000;
const TIMER0_CTRL: usize = 0x18;
const WATCHDOG_CTRL: usize = 0x30;
const TICKS_CYCLES: usize = 0x4;

const RESETS: usize = 0x4002_0000;
const RESET: usize = 0x0;
const RESET_DONE: usize = 0x8;

/// Blocks that reset is released from, as bits of RESETS.
pub(super) mod block {
    pub(in super::super) const IO_BANK0: u32 = 1 << 6;
    pub(in super::super) const PADS_BANK0: u32 = 1 << 9;
    pub(super) const PLL_SYS: u32 = 1 << 14;
    pub(super) const PLL_USB: u32 = 1 << 15;
    pub(in super::super) const SPI0: u32 = 1 << 18;
    pub(super) const TIMER0: u32 = 1 << 23;
    pub(in super::super) const USBCTRL: u32 = 1 << 28;
}

/// Starts all clocks. A crystal that does not swing stops the program here.
///
/// # Safety
/// Called once, before any other device is used.
pub(super) unsafe fn start() {
    // SAFETY: the addresses are the chip's; called once, nobody else uses these blocks.
    let (mut clocks, mut xosc, mut ticks) = unsafe {
        (
            Registers::new(CLOCKS),
            Registers::new(XOSC),
            Registers::new(TICKS),
        )
    };
    clocks.write(CLK_SYS_RESUS_CTRL, 0);
    xosc.write(XOSC_CTRL, XOSC_RANGE);
    xosc.write(XOSC_STARTUP, XOSC_DELAY);
    xosc.write(XOSC_CTRL, XOSC_RANGE | XOSC_ENABLE);
    while xosc.read(XOSC_STATUS) & XOSC_STABLE == 0 {}
    // Away from the PLLs before they are touched: a debugger may have left them in use.
    // AUXSRC stays until nothing runs from it.
    let aux = clocks.read(CLK_SYS_CTRL) & !SYS_FROM_PLL;
    clocks.write(CLK_SYS_CTRL, aux | SYS_FROM_REF);
    while clocks.read(CLK_SYS_SELECTED) != 1 << SYS_FROM_REF {}
    clocks.write(CLK_REF_DIV, DIV_1);
    clocks.write(CLK_REF_CTRL, REF_FROM_XOSC);
    while clocks.read(CLK_REF_SELECTED) != 1 << REF_FROM_XOSC {}
    // SAFETY: as above, for the PLLs.
    unsafe {
        release(block::PLL_SYS | block::PLL_USB);
        start_pll(&SYSTEM);
        start_pll(&USB);
    }
    clocks.write(CLK_SYS_DIV, DIV_1);
    // AUXSRC 0 is the PLL of the system: first chosen, then switched to.
    clocks.write(CLK_SYS_CTRL, SYS_FROM_REF);
    clocks.write(CLK_SYS_CTRL, SYS_FROM_PLL);
    while clocks.read(CLK_SYS_SELECTED) != 1 << SYS_FROM_PLL {}
    // AUXSRC 0: the system clock for the peripherals, the PLL of USB for USB.
    for (ctrl, div) in [(CLK_PERI_CTRL, CLK_PERI_DIV), (CLK_USB_CTRL, CLK_USB_DIV)] {
        clocks.write(ctrl, 0);
        clocks.write(div, DIV_1);
        clocks.write(ctrl, ENABLE);
    }
    for ctrl in [TIMER0_CTRL, WATCHDOG_CTRL] {
        ticks.write(ctrl + TICKS_CYCLES, CRYSTAL_HZ / 1_000_000);
        ticks.write(ctrl, 1);
    }
    // SAFETY: as above, for the timer.
    unsafe { release(block::TIMER0) };
}

/// # Safety
/// Called once for a PLL that nothing runs from.
unsafe fn start_pll(numbers: &Pll) {
    // SAFETY: the address is the chip's; the obligation makes this its only owner.
    let mut pll = unsafe { Registers::new(numbers.base) };
    pll.write(PLL_PWR, PLL_OFF);
    pll.write(PLL_CS, numbers.reference);
    pll.write(PLL_FBDIV_INT, numbers.feedback);
    pll.write(PLL_PWR, PLL_VCO_ON);
    while pll.read(PLL_CS) & PLL_LOCK == 0 {}
    let (first, second) = numbers.dividers;
    pll.write(PLL_PRIM, first << 16 | second << 12);
    pll.write(PLL_PWR, PLL_VCO_ON & !PLL_POST_OFF);
}

/// Resets blocks and lets them go, so that they are as after power-on.
///
/// # Safety
/// Nobody uses the blocks, and nobody else resets any at the same time.
pub(super) unsafe fn release(blocks: u32) {
    // SAFETY: the address is the chip's, and the obligation covers what it does.
    let mut resets = unsafe { Registers::new(RESETS) };
    let others = resets.read(RESET) & !blocks;
    resets.write(RESET, others | blocks);
    resets.write(RESET, others);
    while resets.read(RESET_DONE) & blocks != blocks {}
}

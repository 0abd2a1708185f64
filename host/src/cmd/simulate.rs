//! `onelook simulate`: the real firmware in QEMU, as a device to play with.
//!
//! Its folder in the cache is what the firmware sees: `model.onelook`, `camera/000.pgm` and on. The flash is
//! a file beside it, so the device remembers what it was taught until that file is removed.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::ValueEnum;
use tools::Progress;
use tools::firmware::{self, Board};
use tools::qemu::{self, Qemu, Running};

use super::model_file::ModelFile;
use super::{Failure, Verdict};
use crate::device::Address;
use crate::device::images::Grey;
use crate::device::simulator::{self, Simulator};
use crate::device::support::pictures_at;
use crate::export::MODEL;
use crate::files::{create_folder, write_whole};
use crate::shipped;

/// Most pixels of the simulated camera's pictures.
const CAMERA_PIXELS: usize = shared::support_set::MAX_CAPTURE;
/// The camera numbers its pictures with three digits.
const SHOTS: usize = 1000;
/// The folder that the firmware reads its camera's pictures from.
const CAMERA: &str = "camera";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The board.
    #[arg(long, value_enum, default_value_t = BoardName::An386)]
    board: BoardName,
    /// A picture (PNG, JPEG, BMP or PGM) that the camera sees, or a folder of pictures that it sees in turn.
    #[arg(long, value_name = "FILE|DIR")]
    camera: Option<PathBuf>,
    /// The file that is the device's memory and flash; it is created when it is not there
    /// [default: one for each board, in the cache].
    #[arg(long, value_name = "FILE")]
    flash: Option<PathBuf>,
    /// The model that the device has until another is sent: micro or nano, which ship, or a file.
    #[arg(long, value_name = "NAME|model.onelook", default_value = shipped::DEFAULT)]
    model: PathBuf,
    /// Where to listen: unix:/path, or tcp:127.0.0.1:PORT (0: a free one)
    /// [default: a socket in the cache].
    #[arg(long, value_name = "PORT")]
    port: Option<Address>,
    /// The firmware to run [default: it is built].
    #[arg(long, value_name = "FILE")]
    elf: Option<PathBuf>,
}

/// What can be simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum BoardName {
    /// Cortex-M4F.
    An386,
    /// Cortex-M7F.
    An500,
    /// Cortex-M33F.
    An505,
    /// Cortex-M55.
    An547,
}

impl BoardName {
    const fn board(self) -> Board {
        match self {
            Self::An386 => firmware::AN386,
            Self::An500 => firmware::AN500,
            Self::An505 => firmware::AN505,
            Self::An547 => firmware::AN547,
        }
    }
}

pub(super) fn run(args: &Args) -> Result<Verdict, Failure> {
    let board = args.board.board();
    let folder = simulator::folder().map_err(Failure::work)?;
    if let Some(other) = simulator::running_in(&folder) {
        return Err(Failure::Usage(format!(
            "a simulator is running already (board {}, process {})\nnext: use it with `onelook device … --port sim`, or end it with Ctrl-C in its terminal",
            other.board, other.pid
        )));
    }
    prepare(&folder, args)?;
    let flash = flash(&folder, args, board)?;
    let progress = Progress::stderr();
    qemu::provide(&progress).map_err(Failure::work)?;
    let elf = match &args.elf {
        Some(elf) if elf.is_file() => elf.clone(),
        Some(elf) => {
            let elf = elf.display();
            let words =
                format!("there is no {elf}\nnext: leave --elf out to have the firmware built");
            return Err(Failure::Usage(words));
        }
        None => firmware::build_device(board, &progress).map_err(Failure::work)?,
    };
    let run = Qemu::new(&elf, board.machine)
        .folder(&folder)
        .memory(&flash, board.memory);
    let (run, port) = connect(run, &folder, args.port.as_ref())?;
    if let Address::Unix(socket) = &port {
        clear(socket)?;
    }
    let running = run.spawn().map_err(Failure::work)?;
    let simulator = Simulator {
        port: port.to_string(),
        pid: running.pid(),
        board: board.name.into(),
        flash,
    };
    simulator.publish(&folder).map_err(Failure::work)?;
    explain(&simulator);
    let verdict = attend(running);
    simulator::withdraw(&folder);
    if let Address::Unix(socket) = &port {
        std::fs::remove_file(socket).ok();
    }
    verdict
}

/// Puts into the folder what the firmware reads from it.
fn prepare(folder: &Path, args: &Args) -> Result<(), Failure> {
    create_folder(folder).map_err(Failure::work)?;
    let model = ModelFile::read(&args.model)?;
    write_whole(&folder.join(MODEL), model.bytes()).map_err(Failure::work)?;
    match &args.camera {
        Some(path) => fill_camera(&folder.join(CAMERA), path),
        None => Ok(()),
    }
}

/// Converts pictures to what the simulated camera takes. One picture is a scene that stays; several come
/// in turn, again and again.
fn fill_camera(camera: &Path, from: &Path) -> Result<(), Failure> {
    let mut pictures = Vec::new();
    for path in pictures_at(from).map_err(Failure::usage)? {
        let grey = Grey::read(&path).map_err(Failure::usage)?;
        pictures.push(grey.fit(CAMERA_PIXELS).to_pgm());
    }
    // Pictures of a time before would come behind these.
    if camera.exists() {
        std::fs::remove_dir_all(camera)
            .map_err(|error| Failure::Work(format!("{}: {error}", camera.display())))?;
    }
    create_folder(camera).map_err(Failure::work)?;
    if let [scene] = pictures.as_slice() {
        return write_whole(&camera.join("shot.pgm"), scene).map_err(Failure::work);
    }
    let numbered = |number: usize| camera.join(format!("{number:03}.pgm"));
    for (number, picture) in pictures.iter().take(SHOTS).enumerate() {
        write_whole(&numbered(number), picture).map_err(Failure::work)?;
    }
    for number in pictures.len()..SHOTS {
        let first = numbered(number % pictures.len());
        // A file system without links gets the pictures once: the camera then says that it froze.
        if std::fs::hard_link(first, numbered(number)).is_err() {
            break;
        }
    }
    Ok(())
}

/// The file that is the machine's memory, of the size that it must have.
fn flash(folder: &Path, args: &Args, board: Board) -> Result<PathBuf, Failure> {
    let path = match &args.flash {
        Some(path) => path.clone(),
        None => folder.join(format!("flash-{}.bin", board.name)),
    };
    let shown = path.display();
    let failed = |error| {
        Failure::Work(format!(
            "{shown}: {error}\nnext: name another file with --flash"
        ))
    };
    if let Ok(meta) = path.metadata() {
        if meta.len() == board.memory {
            return Ok(path);
        }
        return Err(Failure::Usage(format!(
            "{shown} has {} bytes, the memory of {} has {}\nnext: name another file with --flash, or remove this one",
            meta.len(),
            board.name,
            board.memory
        )));
    }
    // Full of holes: it takes no more of the disk than the device has written.
    let file = std::fs::File::create(&path).map_err(failed)?;
    file.set_len(board.memory).map_err(failed)?;
    Ok(path)
}

/// The run with its line, and what to connect to.
fn connect(run: Qemu, folder: &Path, port: Option<&Address>) -> Result<(Qemu, Address), Failure> {
    match port {
        None => {
            let socket = simulator::socket(folder);
            Ok((run.serial_unix(&socket), Address::Unix(socket)))
        }
        Some(Address::Unix(socket)) => {
            let socket = std::path::absolute(socket).map_err(Failure::work)?;
            Ok((run.serial_unix(&socket), Address::Unix(socket)))
        }
        Some(Address::Tcp(host)) => {
            let wrong = |error| {
                Failure::Usage(format!(
                    "cannot listen at tcp:{host}: {error}\nnext: use --port tcp:127.0.0.1:0"
                ))
            };
            // Bound and let go: QEMU binds it again, and port 0 has become a free one.
            let address: SocketAddr = TcpListener::bind(host)
                .and_then(|listener| listener.local_addr())
                .map_err(wrong)?;
            Ok((run.serial_tcp(address), Address::Tcp(address.to_string())))
        }
        Some(other) => Err(Failure::Usage(format!(
            "the simulator listens at unix:/path or tcp:HOST:PORT, not at {other}"
        ))),
    }
}

/// Takes away the socket of a simulator that was killed. QEMU would take away anything.
fn clear(socket: &Path) -> Result<(), Failure> {
    let Ok(meta) = socket.symlink_metadata() else {
        return Ok(());
    };
    if meta.is_file() || meta.is_dir() {
        return Err(Failure::Usage(format!(
            "{} is there already, and is no socket\nnext: name another place with --port",
            socket.display()
        )));
    }
    std::fs::remove_file(socket)
        .map_err(|error| Failure::Work(format!("{}: {error}", socket.display())))
}

fn explain(simulator: &Simulator) {
    let Simulator {
        port, board, flash, ..
    } = simulator;
    println!("{board} runs in QEMU; Ctrl-C ends it. In another terminal:");
    println!();
    println!("    onelook device info --port sim");
    println!();
    println!(
        "(sim is {port}; what it learns is kept in {})",
        flash.display()
    );
}

/// Waits for Ctrl-C or QEMU's end, and shows what the firmware says meanwhile.
fn attend(mut running: Running) -> Result<Verdict, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    ctrlc::set_handler(move || flag.store(true, Ordering::SeqCst)).map_err(Failure::work)?;
    let mut shown = [0; 2];
    loop {
        for (said, shown) in running.said().iter().zip(&mut shown) {
            eprint!("{}", said.get(*shown..).unwrap_or_default());
            *shown = said.len();
        }
        if stop.load(Ordering::SeqCst) {
            running.kill();
            eprintln!("the simulator has ended");
            return Ok(Verdict::Interrupted);
        }
        if running.has_ended().map_err(Failure::work)? {
            running.finish().map_err(Failure::work)?;
            return Ok(Verdict::Success);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(path: &Path, ink: u8) {
        let grey = Grey::new(240, 320, vec![ink; 240 * 320]).unwrap();
        grey.write_png(path).unwrap();
    }

    #[test]
    fn the_camera_sees_one_picture_always_and_several_in_turn() {
        let folder = tempfile::tempdir().unwrap();
        let (from, camera) = (folder.path().join("in"), folder.path().join("camera"));
        std::fs::create_dir(&from).unwrap();
        picture(&from.join("a.png"), 1);
        fill_camera(&camera, &from.join("a.png")).unwrap();
        let scene = Grey::read(&camera.join("shot.pgm")).unwrap();
        assert!(scene.pixels.len() <= CAMERA_PIXELS && scene.w > scene.h);
        picture(&from.join("b.png"), 2);
        fill_camera(&camera, &from).unwrap();
        assert!(!camera.join("shot.pgm").exists());
        for (number, ink) in [("000", 1), ("001", 2), ("002", 1), ("999", 2)] {
            let shot = Grey::read(&camera.join(format!("{number}.pgm"))).unwrap();
            assert_eq!(shot.pixels[0], ink, "{number}");
        }
    }

    #[test]
    fn a_file_is_not_taken_for_a_socket() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(clear(file.path()).is_err());
        assert!(file.path().exists());
        clear(Path::new("/no/such/socket")).unwrap();
    }

    #[test]
    fn a_free_port_is_found() {
        let run = Qemu::new(Path::new("/elf"), "m");
        let (run, port) = connect(
            run,
            Path::new("/"),
            Some(&"tcp:127.0.0.1:0".parse().unwrap()),
        )
        .unwrap();
        assert!(!port.to_string().ends_with(":0"), "{port}");
        assert!(
            run.describe().contains(&port.to_string()),
            "{}",
            run.describe()
        );
        let serial: Address = "/dev/ttyACM0".parse().unwrap();
        assert!(connect(run, Path::new("/"), Some(&serial)).is_err());
    }
}

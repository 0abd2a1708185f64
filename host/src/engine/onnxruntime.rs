//! The exported graphs in onnxruntime, a shared library that is loaded at run time.
//!
//! In: the library's path and an optimisation level. Levels matter for parity: at
//! [`Level::All`] onnxruntime fuses the quantized operators into integer kernels, at
//! [`Level::Disabled`] it computes every node in `f32`. Both must give the device's bits.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ort::environment::Environment;
use ort::session::Session;
use ort::session::SessionInputValue;
use ort::session::builder::GraphOptimizationLevel;
use ort::value::{DynValue, Tensor, TensorElementType};

use super::{Engine, EngineError, Graph};
use crate::export::Bundle;

/// Environment variable that names the library.
pub const LIBRARY: &str = "ORT_DYLIB_PATH";

/// The library that [`LIBRARY`] names, when it is set and not empty.
#[must_use]
pub fn library() -> Option<PathBuf> {
    let path = std::env::var_os(LIBRARY)?;
    Some(PathBuf::from(path)).filter(|path| !path.as_os_str().is_empty())
}

/// How much onnxruntime rewrites a graph before it runs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Everything it knows.
    All,
    /// Nothing.
    Disabled,
}

/// onnxruntime on the graphs of one export.
pub struct Onnxruntime<'b> {
    name: String,
    environment: Environment,
    level: Level,
    bundle: &'b Bundle,
    pools: HashMap<Graph, Pool>,
}

/// Idle sessions. A session runs one pair at a time, on one thread: threads of ours take one
/// each, and no more are made than ever run at once.
#[derive(Default)]
struct Pool(Mutex<Vec<Session>>);

impl<'b> Onnxruntime<'b> {
    /// Loads the library, unless this process has already done so, and checks that it accepts the
    /// graphs of all files.
    ///
    /// # Errors
    /// [`EngineError::Library`] when there is no usable library at `library`;
    /// [`EngineError::Engine`] when it refuses a graph.
    pub fn new(bundle: &'b Bundle, library: &Path, level: Level) -> Result<Self, EngineError> {
        Self::of(bundle, library, level, &Graph::FILES)
    }

    /// As [`Self::new`] for these graphs; for any other, sessions are made each time it is run.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn of(
        bundle: &'b Bundle,
        library: &Path,
        level: Level,
        graphs: &[Graph],
    ) -> Result<Self, EngineError> {
        let suffix = match level {
            Level::All => "optimised",
            Level::Disabled => "as written",
        };
        let mut engine = Self {
            name: format!("onnxruntime, {suffix}"),
            environment: environment(library)?,
            level,
            bundle,
            pools: HashMap::new(),
        };
        for &graph in graphs {
            let pool = Pool::default();
            pool.give_back(engine.session(graph)?);
            engine.pools.insert(graph, pool);
        }
        Ok(engine)
    }

    fn session(&self, graph: Graph) -> Result<Session, EngineError> {
        let bytes = graph.onnx(self.bundle);
        let bytes = bytes.map_err(|message| self.refused(&message))?;
        let level = match self.level {
            Level::All => GraphOptimizationLevel::All,
            Level::Disabled => GraphOptimizationLevel::Disable,
        };
        let refused = |error: ort::Error<_>| self.refused(&error.to_string());
        let builder = Session::builder(&self.environment)
            .map_err(|error| self.refused(&error.to_string()))?;
        let builder = builder.with_optimization_level(level).map_err(refused)?;
        let mut builder = builder.with_intra_threads(1).map_err(refused)?;
        builder
            .commit_from_memory(&bytes)
            .map_err(|error| self.refused(&error.to_string()))
    }

    fn refused(&self, message: &str) -> EngineError {
        EngineError::Engine {
            engine: self.name.clone(),
            message: message.to_owned(),
        }
    }

    fn run_in(
        &self,
        session: &mut Session,
        inputs: &[Vec<f32>],
    ) -> Result<Vec<Vec<f32>>, ort::Error> {
        let shapes: Vec<Vec<i64>> = session
            .inputs()
            .iter()
            .filter_map(|input| input.dtype().tensor_shape().map(|shape| shape.to_vec()))
            .collect();
        let mut values: Vec<SessionInputValue<'_>> = Vec::new();
        for (mut shape, input) in shapes.into_iter().zip(inputs) {
            if let Some(batch) = shape.first_mut() {
                *batch = 1;
            }
            values.push(Tensor::from_array((shape, input.clone()))?.into());
        }
        let outputs = session.run(&values[..])?;
        outputs.values().map(|output| floats(&output)).collect()
    }
}

fn floats(output: &DynValue) -> Result<Vec<f32>, ort::Error> {
    if output.dtype().tensor_type() == Some(TensorElementType::Uint8) {
        let (_, values) = output.try_extract_tensor::<u8>()?;
        return Ok(values.iter().map(|&value| f32::from(value)).collect());
    }
    Ok(output.try_extract_tensor::<f32>()?.1.to_vec())
}

impl Pool {
    fn take(&self) -> Option<Session> {
        // A panic elsewhere leaves the list itself whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn give_back(&self, session: Session) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(session);
    }
}

impl Engine for Onnxruntime<'_> {
    fn name(&self) -> &str {
        &self.name
    }

    fn run(&self, graph: Graph, inputs: &[Vec<f32>]) -> Result<Vec<Vec<f32>>, EngineError> {
        let pool = self.pools.get(&graph);
        let mut session = match pool.and_then(Pool::take) {
            Some(session) => session,
            None => self.session(graph)?,
        };
        let outputs = self.run_in(&mut session, inputs);
        if let Some(pool) = pool {
            pool.give_back(session);
        }
        outputs.map_err(|error| self.refused(&error.to_string()))
    }
}

/// onnxruntime allows one environment per process; the first library that loads is kept.
static ENVIRONMENT: Mutex<Option<Environment>> = Mutex::new(None);

pub(super) fn environment(library: &Path) -> Result<Environment, EngineError> {
    let failed = |message: String| EngineError::Library {
        path: library.into(),
        message,
    };
    if !library.is_file() {
        return Err(failed("there is no such file".to_owned()));
    }
    let mut current = ENVIRONMENT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(environment) = &*current {
        return Ok(environment.clone());
    }
    let builder = ort::init_from(library).map_err(|error| failed(error.to_string()))?;
    let environment = builder.with_name("onelook").with_telemetry(false).build();
    let environment = environment.map_err(|error| failed(error.to_string()))?;
    *current = Some(environment.clone());
    Ok(environment)
}

//! Matching Networks (Vinyals et al. 2016): attention over the support set by cosine, and embeddings that know the
//! set they are in.
//!
//! In: embeddings of queries `[t][q][d]` and supports `[t][s][d]`, `t` trials at once. Out: scores, or embeddings of
//! the same shape. Unlike theirs, the cosines are scaled by a number that is learned: a softmax over numbers between
//! -1 and 1 cannot be sure of anything; and where a query reads the set, products are divided by √d, for the same reason
//! the other way round.

use tch::{Device, Kind, Tensor};

use crate::train::TrainError;
use crate::train::net::{Parameter, Role};

/// Reads of the support set by a query (their K).
const READS: usize = 5;

/// Cosine, scaled.
#[derive(Debug)]
pub(super) struct Cosine {
    /// `[]`, the scale's logarithm.
    log_scale: Tensor,
}

impl Cosine {
    /// A scale of ten.
    pub(super) fn new(device: Device) -> Result<Self, TrainError> {
        let log_scale = Tensor::f_full([], 10.0_f64.ln(), (Kind::Float, device))?;
        Ok(Self {
            log_scale: log_scale.set_requires_grad(true),
        })
    }

    pub(super) fn scores(&self, queries: &Tensor, supports: &Tensor) -> Result<Tensor, TrainError> {
        Ok(cosines(queries, supports)?.f_mul(&self.log_scale.f_exp()?)?)
    }

    pub(super) fn parameters(&self) -> Vec<Parameter> {
        vec![parameter("matching.log_scale", &self.log_scale)]
    }
}

/// `[t][q][s]`.
pub(super) fn cosines(queries: &Tensor, supports: &Tensor) -> Result<Tensor, TrainError> {
    Ok(unit(queries)?.f_matmul(&unit(supports)?.f_transpose(-1, -2)?)?)
}

/// Every vector of the last axis, at length one.
pub(super) fn unit(x: &Tensor) -> Result<Tensor, TrainError> {
    let length = (x * x).f_sum_dim_intlist([-1_i64].as_slice(), true, Kind::Float)?;
    Ok(x.f_div(&(length + 1e-12).f_sqrt()?)?)
}

/// Full context embeddings (their section 2.1.2 and appendix A).
#[derive(Debug)]
pub(super) struct Context {
    forward: Lstm,
    backward: Lstm,
    /// Its hidden state is read from the support set and its own.
    attention: Lstm,
    d: i64,
}

impl Context {
    /// For embeddings of length `d`. Draws from libtorch's generator: seed it first.
    pub(super) fn new(d: i64, device: Device) -> Result<Self, TrainError> {
        Ok(Self {
            forward: Lstm::new("forward", [d, d, d], device)?,
            backward: Lstm::new("backward", [d, d, d], device)?,
            attention: Lstm::new("attention", [d, 2 * d, d], device)?,
            d,
        })
    }

    /// `g`: what an LSTM makes of the set in one order and in the other, added to the embeddings.
    pub(super) fn of_supports(&self, supports: &Tensor) -> Result<Tensor, TrainError> {
        let (t, s, d) = supports.size3()?;
        let zeros = || Tensor::f_zeros([t, d], (Kind::Float, supports.device()));
        let pass = |lstm: &Lstm, order: Vec<i64>| {
            let (mut h, mut c) = (zeros()?, zeros()?);
            let mut outputs: Vec<(i64, Tensor)> = Vec::new();
            for at in order {
                (h, c) = lstm.step(&supports.f_select(1, at)?, &h, &c)?;
                outputs.push((at, h.shallow_clone()));
            }
            outputs.sort_by_key(|(at, _)| *at);
            let outputs: Vec<Tensor> = outputs.into_iter().map(|(_, h)| h).collect();
            Ok::<_, TrainError>(Tensor::f_stack(&outputs, 1)?) // [t, s, d]
        };
        let forward = pass(&self.forward, (0..s).collect())?;
        let backward = pass(&self.backward, (0..s).rev().collect())?;
        Ok(supports.f_add(&forward)?.f_add(&backward)?)
    }

    /// `f`: a query reads the set several times; `supports` are [`Self::of_supports`]'.
    pub(super) fn of_queries(
        &self,
        queries: &Tensor,
        supports: &Tensor,
    ) -> Result<Tensor, TrainError> {
        let (t, q, d) = queries.size3()?;
        let flat = |x: &Tensor, width: i64| x.f_reshape([t * q, width]);
        let input = flat(queries, d)?;
        let mut h = input.shallow_clone();
        let mut c = Tensor::f_zeros([t * q, d], (Kind::Float, queries.device()))?;
        for _ in 0..READS {
            let reading = h.f_reshape([t, q, d])?;
            let attention = reading.f_matmul(&supports.f_transpose(-1, -2)?)?; // [t, q, s]
            let attention = (attention / (self.d as f64).sqrt()).f_softmax(-1, Kind::Float)?;
            let read = flat(&attention.f_matmul(supports)?, d)?;
            let hidden = Tensor::f_cat(&[&h, &read], 1)?;
            let (output, cell) = self.attention.step(&input, &hidden, &c)?;
            (h, c) = (output.f_add(&input)?, cell);
        }
        Ok(h.f_reshape([t, q, d])?)
    }

    pub(super) fn parameters(&self) -> Vec<Parameter> {
        let lstms = [&self.forward, &self.backward, &self.attention];
        lstms.into_iter().flat_map(Lstm::parameters).collect()
    }
}

/// One long short-term memory cell (Hochreiter and Schmidhuber 1997).
#[derive(Debug)]
struct Lstm {
    name: &'static str,
    /// `[4 d][input]`, gates in the order input, forget, cell, output.
    of_input: Tensor,
    /// `[4 d][hidden]`.
    of_hidden: Tensor,
    /// `[4 d]`.
    bias: Tensor,
}

impl Lstm {
    fn new(
        name: &'static str,
        [input, hidden, d]: [i64; 3],
        device: Device,
    ) -> Result<Self, TrainError> {
        let options = (Kind::Float, device);
        let deviation = 1.0 / (d as f64).sqrt();
        let weight = |width| {
            let weight = Tensor::f_rand([4 * d, width], options)? * (2.0 * deviation) - deviation;
            Ok::<_, TrainError>(weight.set_requires_grad(true))
        };
        Ok(Self {
            name,
            of_input: weight(input)?,
            of_hidden: weight(hidden)?,
            bias: Tensor::f_zeros([4 * d], options)?.set_requires_grad(true),
        })
    }

    /// Next output and cell, `[n][d]` each.
    fn step(&self, x: &Tensor, h: &Tensor, c: &Tensor) -> Result<(Tensor, Tensor), TrainError> {
        let gates = x.f_linear(&self.of_input, Some(&self.bias))?;
        let no_bias: Option<&Tensor> = None;
        let gates = gates.f_add(&h.f_linear(&self.of_hidden, no_bias)?)?;
        let d = c.size2()?.1;
        let gate = |place: i64| gates.f_narrow(1, place * d, d);
        let (input, forget, cell, output) = (gate(0)?, gate(1)?, gate(2)?, gate(3)?);
        let kept = forget.f_sigmoid()?.f_mul(c)?;
        let c = kept.f_add(&input.f_sigmoid()?.f_mul(&cell.f_tanh()?)?)?;
        Ok((output.f_sigmoid()?.f_mul(&c.f_tanh()?)?, c))
    }

    fn parameters(&self) -> Vec<Parameter> {
        let parts = [
            ("of_input", &self.of_input),
            ("of_hidden", &self.of_hidden),
            ("bias", &self.bias),
        ];
        let named =
            parts.map(|(what, tensor)| parameter(&format!("context.{}.{what}", self.name), tensor));
        named.into()
    }
}

fn parameter(name: &str, tensor: &Tensor) -> Parameter {
    Parameter {
        name: name.to_owned(),
        tensor: tensor.shallow_clone(),
        role: Role::Rest,
        layer: usize::MAX,
    }
}

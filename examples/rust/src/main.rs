//! A character-level language model: three characters in, one hidden layer, the next character out.
//! Gradients are written by hand, and every number is logged with `tracing`, as JSON.
//!
//!     spanbridge exec -- cargo run --manifest-path examples/rust/Cargo.toml [-- steps, 1500 by default]

use std::time::{Duration, Instant};

use tracing::{info, info_span, level_filters::LevelFilter};
use tracing_subscriber::EnvFilter;

const TEXT: &str = "the harbour pilot keeps a log of every ship that comes in with the tide. she writes the name of \
the ship, the hour, the wind and the depth of the water under the keel. when the wind is in the west the ships come \
in slowly, and the pilot has time to write. when the wind is in the north the ships come in all at once, and the log \
has to wait until the last of them is tied to the wall. then she sits down in the small house at the end of the wall \
and writes what she remembers: the name of the ship, the hour, the wind and the depth. some nights the lamp goes out, \
and she writes in the dark. some nights the rain comes through the roof, and the page is wet in the morning, but the \
ink stays. the harbour master reads the log at the end of the week. he counts the ships and the hours, and he draws \
a line for the wind and a line for the depth of the water. when the line goes down he sends the men out to dig the \
channel, and when the line goes up he lets them sleep. he has never seen the ships come in. he sees the lines, and \
the lines are right, since the pilot keeps the log and the log keeps every ship. in the winter the ships do not come, \
and the pilot writes the wind and the depth of the water, and that no ship came in with the tide.";

const CONTEXT: usize = 3;
const HIDDEN: usize = 32;
const BATCH: usize = 32;
const LEARNING_RATE: f64 = 0.5;
const EVAL_EVERY: u64 = 50;

/// All parameters in one vector, so that a gradient has its shape and one loop updates it:
/// one hidden vector per position and character, the hidden bias, then the output weights and the output bias.
struct Model {
    vocab: usize,
    params: Vec<f64>,
}

impl Model {
    fn new(vocab: usize, random: &mut impl FnMut() -> f64) -> Self {
        let size = (CONTEXT * vocab + 1) * HIDDEN + (HIDDEN + 1) * vocab;
        Model { vocab, params: (0..size).map(|_| (random() - 0.5) * 0.4).collect() }
    }

    /// Cross-entropy of the character that follows `window`; its gradient is added to `grad`.
    fn loss(&self, window: &[usize], grad: Option<&mut [f64]>) -> f64 {
        let (context, target) = (&window[..CONTEXT], window[CONTEXT]);
        let bias = CONTEXT * self.vocab * HIDDEN;
        let output = bias + HIDDEN;
        let output_bias = output + HIDDEN * self.vocab;
        let row = |position: usize, character: usize| (position * self.vocab + character) * HIDDEN;

        let mut hidden = self.params[bias..output].to_vec();
        for (position, &character) in context.iter().enumerate() {
            let weights = &self.params[row(position, character)..][..HIDDEN];
            hidden.iter_mut().zip(weights).for_each(|(h, w)| *h += w);
        }
        hidden.iter_mut().for_each(|h| *h = h.tanh());
        let mut probs = self.params[output_bias..].to_vec();
        for (h, weights) in hidden.iter().zip(self.params[output..output_bias].chunks(self.vocab)) {
            probs.iter_mut().zip(weights).for_each(|(p, w)| *p += h * w);
        }
        let max = probs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = probs.iter().map(|logit| (logit - max).exp()).sum();
        probs.iter_mut().for_each(|p| *p = (*p - max).exp() / sum);
        let loss = -probs[target].ln();

        if let Some(grad) = grad {
            probs[target] -= 1.0; // softmax and cross-entropy together: the gradient of the logits is p - onehot
            grad[output_bias..].iter_mut().zip(&probs).for_each(|(g, d)| *g += d);
            for (i, &h) in hidden.iter().enumerate() {
                let start = output + i * self.vocab;
                let mut back = 0.0;
                for (j, d) in probs.iter().enumerate() {
                    grad[start + j] += h * d;
                    back += self.params[start + j] * d;
                }
                back *= 1.0 - h * h;
                grad[bias + i] += back;
                context.iter().enumerate().for_each(|(position, &c)| grad[row(position, c) + i] += back);
            }
        }
        loss
    }
}

fn main() {
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).from_env_lossy();
    tracing_subscriber::fmt().json().with_env_filter(filter).init();
    let steps: u64 = std::env::args().nth(1).map_or(1500, |text| text.parse().expect("steps: a whole number"));

    let mut alphabet: Vec<char> = TEXT.chars().collect();
    alphabet.sort_unstable();
    alphabet.dedup();
    let tokens: Vec<usize> = TEXT.chars().map(|c| alphabet.binary_search(&c).unwrap()).collect();
    let windows: Vec<&[usize]> = tokens.windows(CONTEXT + 1).collect();
    let (train, validation) = windows.split_at(windows.len() * 9 / 10);

    let mut seed = 7_u64;
    let mut random = move || {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (seed >> 11) as f64 / (1_u64 << 53) as f64
    };
    let mut model = Model::new(alphabet.len(), &mut random);
    let parameters = model.params.len();
    info!(steps, batch_size = BATCH, hidden = HIDDEN, parameters, learning_rate = LEARNING_RATE, "startup");

    let mut busy = Duration::ZERO;
    for step in 1..=steps {
        let _update = info_span!("update", step).entered(); // the events below have their step from here
        let started = Instant::now();
        let learning_rate = LEARNING_RATE * (1.0 - (step - 1) as f64 / steps as f64);
        let mut grad = vec![0.0; model.params.len()];
        let mut draw = || train[(random() * train.len() as f64) as usize];
        let loss = (0..BATCH).map(|_| model.loss(draw(), Some(&mut grad))).sum::<f64>() / BATCH as f64;
        grad.iter_mut().for_each(|g| *g /= BATCH as f64);
        let grad_norm = grad.iter().map(|g| g * g).sum::<f64>().sqrt();
        model.params.iter_mut().zip(&grad).for_each(|(p, g)| *p -= learning_rate * g);
        busy += started.elapsed();
        info!(category = "TRAINER", loss, perplexity = loss.exp(), grad_norm, learning_rate, "update done");

        if step % EVAL_EVERY == 0 {
            let tokens_per_second = (EVAL_EVERY as usize * BATCH) as f64 / busy.as_secs_f64();
            busy = Duration::ZERO;
            info!(category = "MISC", tokens_per_second, "throughput");
            let total: f64 = validation.iter().map(|window| model.loss(window, None)).sum();
            let val_loss = total / validation.len() as f64;
            info!(category = "EVALUATOR", val_loss, perplexity = val_loss.exp(), "evaluation");
        }
    }
}

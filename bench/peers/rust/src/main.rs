//! A training loop that logs 10 numbers a step with `tracing`, and notes what each call took.
//!
//!     trainer CALLS PER_SECOND FILE

use std::io::Write;
use std::time::{Duration, Instant};

/// Numbers that do not repeat (xorshift).
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 53) as f64 * 10.0
    }
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let calls: u32 = args[1].parse().expect("CALLS");
    let rate: f64 = args[2].parse().expect("PER_SECOND");
    tracing_subscriber::fmt().json().init();
    std::thread::sleep(Duration::from_millis(1500)); // whoever reads has started by then
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut durations = Vec::with_capacity(calls as usize);
    let begin = Instant::now();
    for step in 0..calls {
        let v: [f64; 10] = std::array::from_fn(|_| random.next());
        let due = begin + Duration::from_secs_f64(f64::from(step) / rate);
        if let Some(wait) = due.checked_duration_since(Instant::now()) {
            std::thread::sleep(wait);
        }
        let before = Instant::now();
        tracing::info!(
            category = "TRAINER", step, policy_loss = v[0], value_loss = v[1], entropy = v[2], approx_kl = v[3],
            clip_fraction = v[4], grad_norm = v[5], learning_rate = v[6], reward = v[7], ratio_mean = v[8], td_error = v[9],
            "update done"
        );
        durations.push(before.elapsed().as_nanos() as f64 / 1000.0);
    }
    let texts: Vec<String> = durations.iter().map(|us| format!("{us:.3}")).collect();
    let mut file = std::fs::File::create(&args[3]).expect("FILE");
    write!(file, "[{}]", texts.join(",")).expect("FILE");
}

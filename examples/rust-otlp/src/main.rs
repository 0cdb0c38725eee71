//! Fits a straight line by gradient descent, and shows each update as a span with the numbers on it: by OTLP, with nothing
//! of Spanbridge in it.
//!
//!     spanbridge exec -- cargo run --manifest-path examples/rust-otlp/Cargo.toml [-- steps, 200 by default]

use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::{field::Empty, info, info_span};
use tracing_subscriber::prelude::*;

const LEARNING_RATE: f64 = 0.1;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let steps: u64 = std::env::args().nth(1).map_or(Ok(200), |text| text.parse())?;
    // The exporter finds Spanbridge by OTEL_EXPORTER_OTLP_ENDPOINT, the resource the run by OTEL_RESOURCE_ATTRIBUTES.
    let exporter = SpanExporter::builder().with_http().build()?;
    let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).build();
    tracing_subscriber::registry()
        .with(tracing_opentelemetry::layer().with_tracer(provider.tracer("trainer")))
        .init();
    fit(steps);
    provider.shutdown()?;
    Ok(())
}

fn fit(steps: u64) {
    let (mut slope, mut offset) = (0.0_f64, 0.0_f64);
    for step in 1..=steps {
        let update = info_span!("update", step, category = "TRAINER", loss = Empty).entered();
        let (mut loss, mut by_slope, mut by_offset) = (0.0, 0.0, 0.0);
        info_span!("gradient").in_scope(|| {
            for i in 0..32 {
                let x = f64::from(i) / 16.0 - 1.0;
                let error = slope * x + offset - (3.0 * x - 0.5);
                loss += error * error / 32.0;
                by_slope += 2.0 * error * x / 32.0;
                by_offset += 2.0 * error / 32.0;
            }
        });
        slope -= LEARNING_RATE * by_slope;
        offset -= LEARNING_RATE * by_offset;
        update.record("loss", loss);
        if step % 50 == 0 {
            info!(slope, offset, "weights"); // a span event: its step is that of the span
        }
    }
}

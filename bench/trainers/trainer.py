"""A training loop that logs 10 numbers a step, and notes what each call took.

usage: trainer.py CLIENT CALLS PER_SECOND FILE WORK [ADDRESS]

The figures go to FILE; WORK is a directory for what a client leaves behind. CLIENT is one of the functions below.
"""
import json
import os
import random
import sys
import time

client, calls, rate, told, work = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.argv[4], sys.argv[5]
address = sys.argv[6] if len(sys.argv) > 6 else ""
NAMES = ["policy_loss", "value_loss", "entropy", "approx_kl", "clip_fraction", "grad_norm", "learning_rate", "reward", "ratio_mean", "td_error"]
nothing = lambda: None


def line():
    """JSON and a write for each line, as most trainers do it."""

    def log(step, values):
        now = time.time()
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + ".%06dZ" % (now % 1 * 1e6)
        print(json.dumps({"timestamp": stamp, "level": "INFO", "fields": {"message": "update done", "category": "TRAINER", "step": step, **values}}), flush=True)

    return log, nothing


def otlp():
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=Resource({"service.name": "trainer"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=address + "/v1/traces"), max_queue_size=100_000))
    tracer = provider.get_tracer("trainer")

    def log(step, values):
        with tracer.start_as_current_span("update", attributes={"category": "TRAINER", "step": step, **values}):
            pass

    return log, provider.shutdown


def mlflow_sync(synchronous=True):
    import mlflow

    mlflow.set_tracking_uri(address)
    mlflow.start_run()
    return lambda step, values: mlflow.log_metrics(values, step=step, synchronous=synchronous), mlflow.end_run


def mlflow_async():
    return mlflow_sync(False)


def wandb_offline():
    import wandb

    run = wandb.init(mode="offline", dir=work, project="bench", settings=wandb.Settings(silent=True, console="off"))
    return lambda step, values: run.log(values, step=step), run.finish


def scalars(writer):
    def log(step, values):
        for name, value in values.items():
            writer.add_scalar(name, value, step)

    return log, writer.close


def tensorboard_writer():
    from tensorboard.summary import Writer

    return scalars(Writer(work))


def tensorboardx():
    from tensorboardX import SummaryWriter

    return scalars(SummaryWriter(work))


# Those are the names of the command line; a client that is not known is an error.
log, close = {
    "line": line,
    "otlp": otlp,
    "mlflow-sync": mlflow_sync,
    "mlflow-async": mlflow_async,
    "wandb": wandb_offline,
    "tensorboard": tensorboard_writer,
    "tensorboardx": tensorboardx,
}[client]()
time.sleep(1.5)  # whoever reads has started by then

durations = []
begin = time.perf_counter()
for step in range(calls):
    values = {name: random.random() * 10 for name in NAMES}
    due = begin + step / rate
    while (now := time.perf_counter()) < due:
        time.sleep(due - now)
    before = time.perf_counter()
    log(step, values)
    durations.append(time.perf_counter() - before)
close()

with open(told, "w") as file:
    json.dump([duration * 1e6 for duration in durations], file)

"""What is counted, for Prometheus. Each process counts for itself; `/metrics` shows the web process's own counts
and, under the label `worker`, those that the workers left in the store.
"""

from collections.abc import Iterable, Iterator, Mapping

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

disable_created_metrics()  # type: ignore[no-untyped-call]
REGISTRY = CollectorRegistry()
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

WEBHOOKS = Counter("mlstaff_webhooks", "Deliveries received", ["event", "outcome"], registry=REGISTRY)
WEBHOOK_SECONDS = Histogram(
    "mlstaff_webhook_seconds",
    "From the first byte of a delivery to its answer",
    buckets=(0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10),
    registry=REGISTRY,
)
JOBS = Counter("mlstaff_jobs", "Requests worked on", ["kind", "outcome"], registry=REGISTRY)
REVIEWS = Counter("mlstaff_reviews", "Reviews of one head", ["outcome"], registry=REGISTRY)
REVIEW_SECONDS = Histogram(
    "mlstaff_review_seconds",
    "Duration of a review, from reading the pull request to publishing",
    buckets=(0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 180, 600),
    registry=REGISTRY,
)
WAIT_SECONDS = Histogram(
    "mlstaff_wait_seconds",
    "From a delivery to the beginning of its first run",
    buckets=(0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300, 1800),
    registry=REGISTRY,
)
DELIVERIES_RECOVERED = Counter(
    "mlstaff_deliveries_recovered",
    "Deliveries that GitHub was asked to repeat since they had failed",
    registry=REGISTRY,
)
ANALYSES = Counter("mlstaff_analyses", "Calls of the analysis processes", ["outcome"], registry=REGISTRY)
GITHUB_CALLS = Counter("mlstaff_github_calls", "Calls of GitHub's API", ["operation", "status"], registry=REGISTRY)
GITHUB_SECONDS = Histogram(
    "mlstaff_github_seconds",
    "Duration of a call of GitHub's API",
    ["operation"],
    buckets=(0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30),
    registry=REGISTRY,
)


def count_github_call(operation: str, status: str | int, seconds: float) -> None:
    """Counts one call; `operation` is one of a few names, never a path, `status` a number or *broken*."""
    GITHUB_CALLS.labels(operation, str(status)).inc()
    GITHUB_SECONDS.labels(operation).observe(seconds)


class _Families(Collector):
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = list(families)

    def collect(self) -> Iterator[Metric]:
        yield from self._families


def own() -> str:
    """This process's counts, as text."""
    return generate_latest(REGISTRY).decode()


def page(workers: Mapping[str, str], gauges: Mapping[str, float]) -> bytes:
    """The whole page: our own counts, the workers' texts by name, and what the store knows as gauges."""
    families: dict[str, Metric] = {family.name: family for family in REGISTRY.collect()}
    for worker, text in workers.items():
        for family in text_string_to_metric_families(text):
            into = families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
            for sample in family.samples:
                labels = {**sample.labels, "worker": worker}
                into.add_sample(sample.name, labels, sample.value)
    registry = CollectorRegistry()
    registry.register(_Families(families.values()))
    for name, value in gauges.items():
        Gauge(f"mlstaff_{name}", _GAUGES[name], registry=registry).set(value)
    return generate_latest(registry)


_GAUGES = {
    "queue_subjects": "Pull requests that something is to be done on",
    "dead_letters": "Requests that were given up after many attempts and may be retried",
    "workers": "Workers that were heard of in the last seconds",
    "store_reachable": "Whether the store answers (1) or not (0)",
}

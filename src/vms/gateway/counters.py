"""What the gateway counts, and its metrics."""

from collections import Counter
from collections.abc import Iterable

from vms.gateway.publisher import Publisher
from vms.gateway.store import CameraStore
from vms.gateway.workers import MediaWorkers
from vms.telemetry.metrics import MetricFamily, MetricKind


class GatewayCounters:
    """placed: cameras given a worker. failures: rounds and messages that went wrong unexpectedly."""

    def __init__(self) -> None:
        self.commands: Counter[tuple[str, str]] = Counter()
        self.placed = 0
        self.database_failures = 0
        self.failures = 0

    def command(self, verb: str, outcome: str) -> None:
        """outcome: done or refused."""
        self.commands[verb, outcome] += 1

    def metrics(
        self, store: CameraStore | None, publisher: Publisher, workers: MediaWorkers
    ) -> Iterable[MetricFamily]:
        """Everything as it stands now; store: None while the database is not open."""
        cameras: Counter[str] = Counter()
        for stored in store.cameras.values() if store is not None else ():
            cameras[stored.assignment.worker if stored.assignment is not None else ""] += 1
        gauges = {
            "vms_registry_available": ("1 while the database is open", 0.0 if store is None else 1.0),
            "vms_registry_revision": ("rises with each change", float(store.revision) if store else 0.0),
            "vms_registry_bucket_stale": ("1 while the bus has not the newest", float(publisher.stale)),
        }
        for name, (text, value) in gauges.items():
            yield MetricFamily(name, MetricKind.GAUGE, text, (), [((), value)])
        counters = {
            "vms_registry_database_failures": ("times that the database refused", self.database_failures),
            "vms_registry_failures": ("rounds and messages that went wrong unexpectedly", self.failures),
            "vms_registry_put_failures": ("times that the bus did not take cameras", publisher.put_failures),
            "vms_registry_syncs": ("times that the whole bucket was compared", publisher.syncs),
            "vms_registry_pushes": ("changes answered by their media process", publisher.pushed),
            "vms_registry_unanswered": ("changes left to be read from the bus", publisher.unanswered),
            "vms_registry_placed": ("cameras given a media process", self.placed),
        }
        for name, (text, count) in counters.items():
            yield MetricFamily(name, MetricKind.COUNTER, text, (), [((), float(count))])
        yield MetricFamily(
            "vms_registry_commands",
            MetricKind.COUNTER,
            "commands by what they do and how they ended",
            ("verb", "outcome"),
            [(key, float(count)) for key, count in sorted(self.commands.items())],
        )
        yield MetricFamily(
            "vms_registry_cameras",
            MetricKind.GAUGE,
            "cameras by the media process that they are assigned to",
            ("assigned_worker",),
            [((worker,), float(count)) for worker, count in sorted(cameras.items())],
        )
        yield MetricFamily(
            "vms_media_workers_gone",
            MetricKind.GAUGE,
            "1 for a media process that is not heard",
            ("assigned_worker",),
            [((worker.name,), float(worker.gone_s is not None)) for worker in workers.measured()],
        )

"""Every metric of the daemon, declared once, on an injected registry."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info

from daemon.core.command import Severity
from daemon.core.event import ReadTarget
from daemon.core.guardrail import Reason
from daemon.core.incident import TRANSITIONS, State
from daemon.core.signal import SignalState

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
ENDING_TRIGGERS = frozenset(
    trigger for (source, trigger), end in TRANSITIONS.items() if source.is_live and not end.is_live
)
"""What ends an incident: an acknowledgement only closes one that has ended."""
_ACTION_OUTCOMES = ("accepted", "refused", "rate_limited", "unsent", "unknown", "confirmed", "failed")


class Metrics:
    """The daemon's metrics. Label values are closed sets or project ids from the configuration."""

    def __init__(self, registry: CollectorRegistry, *, version: str) -> None:
        self.registry = registry
        show_build(registry, version=version)
        self.leader = Gauge("lastgood_leader", "1 while this process holds the lease and may act.", registry=registry)
        self.cycles = Counter(
            "lastgood_cycles", "Polls of one project that ended.", ["project", "outcome"], registry=registry
        )
        self.cycle_duration = Histogram(
            "lastgood_cycle_duration_seconds",
            "Time from the scheduler's ring until every project of the poller was decided.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.last_cycle = Gauge(
            "lastgood_last_cycle_timestamp_seconds",
            "When a cycle of the project was last completed and committed: alert on its age.",
            ["project"],
            registry=registry,
        )
        self.samples_until = Gauge(
            "lastgood_samples_until_timestamp_seconds",
            "Up to when the project's counts are complete: the daemon is blind to anything later.",
            ["project"],
            registry=registry,
        )
        self.error_ratio = Gauge(
            "lastgood_error_ratio",
            "5xx answers by all requests of what serves production, 0..1, in the detector's newest window.",
            ["project"],
            registry=registry,
        )
        self.error_ratio_limit = Gauge(
            "lastgood_error_ratio_limit",
            "Error ratio from which the detector objects, 0..1.",
            ["project"],
            registry=registry,
        )
        self.gate_margin = Gauge(
            "lastgood_gate_margin_ratio",
            "How far the first gate that fails is from passing, as a share of its threshold: -0.25 is a quarter short.",
            ["project"],
            registry=registry,
        )
        self.breaches = Counter(
            "lastgood_breaches",
            "Deployments that a detector began to call bad, those on dry run told apart.",
            ["project", "detector", "dry_run"],
            registry=registry,
        )
        self._declare_config(registry)
        self._declare_counts(registry)
        self._declare_incidents(registry)
        self._declare_receivers(registry)
        self._declare_plumbing(registry)

    def _declare_config(self, registry: CollectorRegistry) -> None:
        self.config = Info(
            "lastgood_config", "Digest of the configuration file in force, as `sha256sum` begins.", registry=registry
        )
        self.config_generation = Gauge(
            "lastgood_config_generation",
            "Configurations in force since the start, this one included.",
            registry=registry,
        )
        self.config_reload_success = Gauge(
            "lastgood_config_reload_success",
            "0 while the configuration file says something that was refused; what it said before is in force.",
            registry=registry,
        )
        self.config_reloaded = Gauge(
            "lastgood_config_reload_timestamp_seconds",
            "When the configuration in force was put in force.",
            registry=registry,
        )

        self.projects = Gauge("lastgood_projects", "Projects that are watched.", registry=registry)
        self.projects_listed = Gauge(
            "lastgood_projects_listed_timestamp_seconds",
            "When the team's projects were last listed to the end; 0 before, and where no `match` asks for it.",
            registry=registry,
        )

    def tell_config(self, generation: int, digest: str, *, at: datetime) -> None:
        """Let the metrics say which configuration is in force since *at*."""
        self.config.info({"hash": digest})
        self.config_generation.set(generation)
        self.config_reload_success.set(1)
        self.config_reloaded.set(at.timestamp())

    def _declare_counts(self, registry: CollectorRegistry) -> None:
        self.requests_counted = Counter(
            "lastgood_requests_counted", "Production requests read from the source.", ["project"], registry=registry
        )
        self.errors_counted = Counter(
            "lastgood_errors_counted", "Production 5xx answers read from the source.", ["project"], registry=registry
        )
        self.platform_errors_counted = Counter(
            "lastgood_platform_errors_counted",
            "Production 5xx answers that the platform itself gave; they are in no error ratio.",
            ["project"],
            registry=registry,
        )
        self.requests_left_out = Counter(
            "lastgood_requests_left_out",
            "Production requests that were read and count for nobody: no deployment was asked, or none answered.",
            ["project"],
            registry=registry,
        )
        self.counts_covered = Gauge(
            "lastgood_counts_covered_ratio",
            "Share of the time, 0..1, that the newest counts speak for: less than 1 is a sample.",
            ["project"],
            registry=registry,
        )
        self.ingest_lag = Gauge(
            "lastgood_ingest_lag_seconds",
            "How far the newest counted request lay behind the clock, as measured.",
            ["project"],
            registry=registry,
        )
        self._declare_signals(registry)
        self.reads_failed = Counter(
            "lastgood_reads_failed", "Reads that gave nothing to go by.", ["project", "what"], registry=registry
        )

    def _declare_signals(self, registry: CollectorRegistry) -> None:
        self.signal_state = Gauge(
            "lastgood_signal_state", "1 for how well the project is seen.", ["project", "state"], registry=registry
        )
        self.blind_since = Gauge(
            "lastgood_blind_since_timestamp_seconds",
            "Since when nobody sees what the project's visitors get; 0 while somebody does. Alert on its age.",
            ["project"],
            registry=registry,
        )
        self.signals = Counter(
            "lastgood_signals",
            "Polls of a project that ended, by how well it was seen and why.",
            ["state", "reason"],
            registry=registry,
        )

    def _declare_incidents(self, registry: CollectorRegistry) -> None:
        self.actions = Counter(
            "lastgood_actions",
            "Actions by how they went; `confirmed` means that production was observed on the target.",
            ["project", "action", "outcome", "reason"],
            registry=registry,
        )
        self.incidents = Counter(
            "lastgood_incidents", "Incidents that ended, by what ended them.", ["project", "outcome"], registry=registry
        )
        self.incident_state = Gauge(
            "lastgood_incident_state", "1 for the state of the live incident.", ["project", "state"], registry=registry
        )
        self.unacknowledged = Gauge(
            "lastgood_unacknowledged_incidents", "Escalated incidents that nobody took.", ["project"], registry=registry
        )
        self.paused = Gauge(
            "lastgood_paused", "1 while an operator's pause is in force.", ["project"], registry=registry
        )
        self.frozen = Gauge(
            "lastgood_frozen",
            "1 after a bug in this project's work: it is left alone until a restart.",
            ["project"],
            registry=registry,
        )

    def _declare_plumbing(self, registry: CollectorRegistry) -> None:
        self.notifications = Counter(
            "lastgood_notifications", "Messages to people.", ["outcome", "severity"], registry=registry
        )
        self.store_failures = Counter(
            "lastgood_store_failures", "Commits that the store could not take; nothing is done then.", registry=registry
        )
        self.vercel_requests = Counter(
            "lastgood_vercel_requests",
            "Requests to Vercel by route and status.",
            ["route", "status"],
            registry=registry,
        )
        self.vercel_request_duration = Histogram(
            "lastgood_vercel_request_duration_seconds",
            "Time until Vercel answered.",
            ["route"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.vercel_retries = Counter(
            "lastgood_vercel_retries", "Reads of Vercel that were tried again.", ["route"], registry=registry
        )
        self.vercel_budget_wait = Counter(
            "lastgood_vercel_budget_wait_seconds",
            "Time that reads of Vercel waited for the budget of requests.",
            ["route"],
            registry=registry,
        )
        self.vercel_withheld = Counter(
            "lastgood_vercel_withheld",
            "Reads of Vercel that were not sent: our own budget, a pause after 429, or a route's allowance.",
            ["route", "cause"],
            registry=registry,
        )

    def _declare_receivers(self, registry: CollectorRegistry) -> None:
        self.webhooks = Counter(
            "lastgood_webhooks", "Webhooks that came, by what became of them.", ["outcome"], registry=registry
        )
        self.webhooks_waiting = Gauge(
            "lastgood_webhooks_waiting", "Webhooks that were taken and not told to the engine yet.", registry=registry
        )

    def totals(self) -> dict[str, float]:
        """Return every counter's series and its value, as a scrape would show them."""
        return {
            f"{sample.name}{{{_labels(sample.labels)}}}": sample.value
            for family in self.registry.collect()
            for sample in family.samples
            if sample.name.startswith("lastgood_") and sample.name.endswith("_total")
        }

    def _counts(self) -> tuple[Counter, ...]:
        return self.requests_counted, self.errors_counted, self.platform_errors_counted, self.requests_left_out

    def initialise(self, projects: Iterable[str]) -> None:
        """Set every known series to 0, so that a rate is right from the first event on."""
        for outcome in ("sent", "failed"):
            for severity in Severity:
                self.notifications.labels(outcome=outcome, severity=severity)
        for project in projects:
            for gauge in (self.unacknowledged, self.paused, self.frozen):
                gauge.labels(project=project).set(0)
            self.blind_since.labels(project=project).set(0)
            for signal_state in SignalState:
                self.signal_state.labels(project=project, state=signal_state).set(0)
            for counter in self._counts():
                counter.labels(project=project)
            for cycle_outcome in ("completed", "failed"):
                self.cycles.labels(project=project, outcome=cycle_outcome)
            for what in ReadTarget:
                self.reads_failed.labels(project=project, what=what)
            for state in State:
                self.incident_state.labels(project=project, state=state).set(0)
            for trigger in ENDING_TRIGGERS:
                self.incidents.labels(project=project, outcome=trigger)
            for action_outcome in _ACTION_OUTCOMES:
                self.actions.labels(project=project, action="rollback", outcome=action_outcome, reason=Reason.NONE)

    def forget(self, projects: Collection[str]) -> None:
        """Remove every series of *projects*, which are watched no more: an alert on their age would never end.

        It looks through all series, as a scrape does.
        """
        for metric in vars(self).values() if projects else ():
            if not isinstance(metric, Counter | Gauge):
                continue
            samples = [sample for family in metric.collect() for sample in family.samples]
            for values in {tuple(one.labels.values()) for one in samples if one.labels.get("project") in projects}:
                metric.remove(*values)


def show_build(registry: CollectorRegistry, *, version: str) -> None:
    """Show which version runs."""
    Info("lastgood_build", "Version of the running daemon.", registry=registry).info({"version": version})


class DrainMetrics:
    """What the receiver of log drains counts, inside the daemon or as a process of its own."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.batches = Counter(
            "lastgood_drain_batches",
            "Batches that a log drain sent, by what became of them.",
            ["outcome"],
            registry=registry,
        )
        self.bytes = Counter("lastgood_drain_bytes", "Bytes of those batches, as they were sent.", registry=registry)
        self.entries = Counter(
            "lastgood_drain_entries",
            "Entries in batches that were taken, by what became of them.",
            ["outcome"],
            registry=registry,
        )
        self.delay = Gauge(
            "lastgood_drain_delay_seconds",
            "How far the newest entry of the last batch lay behind the clock; negative when it was ahead.",
            registry=registry,
        )
        self.handovers = Counter(
            "lastgood_drain_handovers", "Counts handed over to the store.", ["outcome"], registry=registry
        )
        self.waiting = Gauge(
            "lastgood_drain_waiting_requests", "Requests counted and not handed over yet.", registry=registry
        )


def _labels(labels: Mapping[str, str]) -> str:
    return ",".join(f'{name}="{value}"' for name, value in labels.items())

"""How sources are configured and built."""

from datetime import timedelta

import httpx
import pytest
from pydantic import TypeAdapter, ValidationError

from daemon.ports.source import Source
from daemon.sources import Means, SourceSettings, build_source
from daemon.sources.log_drain import LogDrain
from daemon.sources.observability import Observability, ObservabilitySettings
from daemon.sources.probe import Probe
from daemon.sources.prometheus import Prometheus
from daemon.sources.request_logs import RequestLogs, RequestLogsSettings
from daemon.stores.memory_buckets import MemoryBuckets
from tests.fakes.clock import VirtualClock
from tests.unit.vercel.fakes import a_transport

SETTINGS = TypeAdapter(SourceSettings)


PROMETHEUS = {"url": "http://127.0.0.1:9090", "requests": "sum(a)", "errors": "sum(b)"}
PROBE = {"domains": ["www.example.com"], "paths": ["/api/health"]}


@pytest.mark.parametrize(
    ("settings", "built"),
    [
        ({"kind": "observability"}, Observability),
        ({"kind": "request_logs"}, RequestLogs),
        ({"kind": "log_drain"}, LogDrain),
        ({"kind": "prometheus"} | PROMETHEUS, Prometheus),
        ({"kind": "probe"} | PROBE, Probe),
    ],
)
def test_each_kind_is_built_from_its_settings(settings, built):
    transport, _, _ = a_transport(httpx.Response(500))
    clock = VirtualClock()
    source: Source = build_source(SETTINGS.validate_python(settings), Means(transport, MemoryBuckets(), clock))
    assert isinstance(source, built)
    assert source.name == settings["kind"]
    assert source.is_witness is (built is Probe)


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "tea_leaves"},
        {"lag": 60},
        {"kind": "observability", "lagg": 60},
        {"kind": "observability", "lag": timedelta(seconds=-1)},
        {"kind": "observability", "lag": timedelta(minutes=10, seconds=1)},
        {"kind": "observability", "lookback_max": timedelta(seconds=59)},
        {"kind": "observability", "lookback_max": timedelta(minutes=61)},
        {"kind": "request_logs", "request_pages_max": 0},
        {"kind": "request_logs", "request_pages_max": 21},
        {"kind": "request_logs", "error_pages_max": 0},
        {"kind": "request_logs", "base_url": "http://vercel.com"},
        {"kind": "request_logs", "base_url": "https://user@vercel.com"},
        {"kind": "request_logs", "base_url": "https://vercel.com/api"},
        {"kind": "request_logs", "base_url": "http://127.0.0.1.evil.example"},
        {"kind": "request_logs", "base_url": "ftp://vercel.com"},
    ],
)
def test_settings_out_of_bounds_are_refused(wrong):
    with pytest.raises(ValidationError):
        SETTINGS.validate_python(wrong)


@pytest.mark.parametrize("url", ["https://vercel.com", "http://127.0.0.1:4455", "http://localhost", "http://[::1]:80"])
def test_the_token_travels_encrypted_or_stays_on_this_machine(url):
    assert RequestLogsSettings(base_url=url).base_url == url


@pytest.mark.parametrize("model", [ObservabilitySettings, RequestLogsSettings])
def test_every_setting_says_what_it_does(model):
    fields = model.model_json_schema()["properties"]
    assert all(field.get("description", "").endswith(".") for name, field in fields.items() if name != "kind")

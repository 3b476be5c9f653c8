"""What a team has asked Vercel to send by itself, drains and webhooks: read only."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field, SecretStr, StrictStr

from daemon.vercel.transport import VercelTransport
from daemon.vercel.wire import Name, WireModel, understand

SOURCES_WANTED = frozenset({"edge", "external", "lambda", "redirect", "static"})
"""Where entries of visitors' requests come from. Source: Vercel docs, Drains, Logs reference, `source`."""


class DrainDelivery(WireModel):
    """Where a drain's batches go. `endpoint` is None for what is not delivered by HTTP to one address."""

    type: StrictStr = ""
    endpoint: Any = None
    secret: SecretStr | None = None

    @property
    def url(self) -> str | None:
        """The address that is posted to."""
        return self.endpoint if self.type == "http" and isinstance(self.endpoint, str) else None


class SamplingRule(WireModel):
    """The share of the requests that is kept; `env` and `request_path` are None where the rule is for all of them."""

    rate: Annotated[float, Field(ge=0, le=1)]
    env: StrictStr | None = None
    request_path: StrictStr | None = Field(None, alias="requestPath")


class Drain(WireModel):
    """A drain as Vercel lists it. `project_ids` is None for one of all projects.

    Source: Vercel OpenAPI, getDrains.
    """

    id: Name
    name: StrictStr = ""
    status: StrictStr = "enabled"
    disabled_reason: StrictStr | None = Field(None, alias="disabledReason")
    project_ids: Sequence[StrictStr] | None = Field(None, alias="projectIds")
    schemas: Mapping[str, Any]
    delivery: DrainDelivery
    filter: Mapping[str, Any] | None = Field(None, alias="filterV2")
    sampling: Sequence[SamplingRule] | None = None


class Webhook(WireModel):
    """A webhook as Vercel lists it. `project_ids` is None for one of all projects.

    Source: Vercel OpenAPI, getWebhooks.
    """

    id: Name
    url: StrictStr
    events: Sequence[StrictStr]
    project_ids: Sequence[StrictStr] | None = Field(None, alias="projectIds")


class _DrainList(WireModel):
    drains: list[Drain]


class _WebhookList(WireModel):
    webhooks: list[Webhook]


async def read_drains(transport: VercelTransport) -> Sequence[Drain]:
    """Return the team's drains. Raises Refused where the token may not list them (403), or the plan has none (402).

    Raises Unavailable, RateLimited, Unintelligible as every read does. Source: Vercel OpenAPI, getDrains.
    """
    what = "the team's drains"
    answer = await transport.read("GET", "/v1/drains", route="drains", what=what)
    return understand(_DrainList, answer, what=what).drains


async def read_webhooks(transport: VercelTransport) -> Sequence[Webhook]:
    """Return the team's webhooks. Raises what `read_drains` does. Source: Vercel OpenAPI, getWebhooks (a bare list)."""
    what = "the team's webhooks"
    answer = await transport.read("GET", "/v1/webhooks", route="webhooks", what=what)
    return understand(_WebhookList, {"webhooks": answer}, what=what).webhooks


def production_share(drain: Drain) -> float | None:
    """Return the share of the production requests that *drain* lets through, 0..1; None where it depends on the path.

    The first rule that matches decides, and a request that none matches is dropped; without rules all are kept.
    Source: Vercel docs, Drains, "Sampling rules".
    """
    if not drain.sampling:
        return 1.0
    rules = [rule for rule in drain.sampling if rule.env in (None, "production")]
    if not rules:
        return 0.0
    return None if rules[0].request_path is not None else rules[0].rate


def uncovered(drain: Drain, *, project: str) -> str | None:
    """Return what *drain* leaves out of the production traffic of *project*, '' when nothing.

    None where its filter is an expression, which is not read here. Source: Vercel OpenAPI, createDrain, `filterV2`.
    """
    if "log" not in drain.schemas:
        return f"it sends {', '.join(sorted(drain.schemas)) or 'nothing'}, and no logs"
    rule = (drain.filter or {}).get("filter")
    if not isinstance(rule, Mapping):
        return ""
    if rule.get("type") != "basic":
        return None
    sources, environments, ids = (
        _listed(rule, *keys) for keys in (("log", "sources"), ("deployment", "environments"), ("project", "ids"))
    )
    left_out = []
    if sources is not None and (missing := sorted(SOURCES_WANTED - sources)):
        left_out.append(f"the sources {', '.join(missing)}")
    if environments is not None and "production" not in environments:
        left_out.append("production")
    if ids is not None and project not in ids:
        left_out.append("this project")
    return f"its filter leaves out {' and '.join(left_out)}" if left_out else ""


def _listed(rule: Mapping[str, Any], section: str, key: str) -> frozenset[str] | None:
    """Return the texts that the filter names; None where it does not filter by them."""
    part = rule.get(section)
    texts = part.get(key) if isinstance(part, Mapping) else None
    return frozenset(one for one in texts if isinstance(one, str)) if isinstance(texts, list) else None

"""Asks the sources that are not judged, now and then, whether they tell the same story."""

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from daemon.core.agreement import find_disagreement, tally
from daemon.core.facts import ErrorRateSample, ProjectId
from daemon.core.signal import SignalReason, SourceTrouble
from daemon.ports.clock import Clock
from daemon.ports.source import Reading, Source, Wanted

CHECK_EVERY_SECONDS = 300.0
"""A second opinion costs requests, so it is asked for seldom: a source that lies does so for long."""
_KEPT = timedelta(minutes=30)
_SAMPLES_KEPT_MAX = 2000
_COMPARED_MIN = timedelta(minutes=1)
"""Less time that both tell of is too little to compare."""


@dataclass(slots=True)
class _File:
    """What was judged lately of one project: samples of [`began`, `until`) by one source; and who told another story.

    `compared_until` and `findings` are by the name of the other source.
    """

    judged_by: str
    began: datetime
    until: datetime
    judged: deque[ErrorRateSample] = field(default_factory=lambda: deque(maxlen=_SAMPLES_KEPT_MAX))
    compared_until: dict[str, datetime] = field(default_factory=dict)
    findings: dict[str, SourceTrouble] = field(default_factory=dict)


class CrossCheck:
    """Keeps what was judged of projects with several sources, and compares the others' counts of the same time.

    A round runs in the background of the polls and delays none; what it finds stands until the next one.
    """

    def __init__(self, chains: Mapping[ProjectId, Sequence[Source]], clock: Clock) -> None:
        self._chains = _several(chains)
        self._clock = clock
        self._files: dict[ProjectId, _File] = {}

    def watch(self, chains: Mapping[ProjectId, Sequence[Source]]) -> None:
        """Compare by these chains from now on; a project whose chain is another one begins anew."""
        known, self._chains = self._chains, _several(chains)
        for project in [one for one in self._files if known[one] != self._chains.get(one)]:
            del self._files[project]

    def note(self, project: ProjectId, reading: Reading, *, since: datetime) -> None:
        """Keep what was judged. With another source than before it begins anew: two are compared, never three."""
        if project not in self._chains:
            return
        known = self._files.get(project)
        if known is None or known.judged_by != reading.source:
            carried = _doubts(known, now_judged=reading.source) if known else {}
            known = self._files[project] = _File(reading.source, since, reading.complete_until, findings=carried)
        known.judged.extend(reading.samples)
        known.until = reading.complete_until
        known.began = max(known.began, known.until - _KEPT)
        if len(known.judged) == _SAMPLES_KEPT_MAX:
            known.began = max(known.began, known.judged[0].start)
        while known.judged and known.judged[0].start < known.began:
            known.judged.popleft()

    def findings(self, project: ProjectId) -> Sequence[SourceTrouble]:
        """Return the disagreements that stand."""
        known = self._files.get(project)
        return tuple(known.findings.values()) if known else ()

    async def check(self) -> None:
        """Ask every source about the projects that another one is judged by, and compare."""
        for source, projects in self._others():
            for batch in [projects] if source.is_fleet_wide else [[one] for one in projects]:
                asked = [one for one in batch if self._asks(one, source)]
                wanted = [Wanted(one, self._since(one, source.name)) for one in asked]
                if not wanted:
                    continue
                readings = await source.collect(wanted, now=self._clock.now())
                for one in wanted:
                    answer = readings[one.project]
                    if not self._asks(one.project, source):
                        continue
                    if isinstance(answer, Reading):
                        self._compare(one, answer)
                    else:
                        # A witness that cannot be heard is worth knowing before it is needed.
                        self._note_silence(one.project, SourceTrouble(source.name, answer.reason, str(answer)))

    def _asks(self, project: ProjectId, source: Source) -> bool:
        """Return whether the project is still there and reads *source*: while one was asked, chains may change."""
        return project in self._files and any(one is source for one in self._chains[project])

    def _note_silence(self, project: ProjectId, trouble: SourceTrouble) -> None:
        """Remember a witness's trouble; that it told another story before stands until it is heard again."""
        findings = self._files[project].findings
        known = findings.get(trouble.source)
        if known is None or known.reason is not SignalReason.DISAGREEING:
            findings[trouble.source] = trouble

    def _others(self) -> Iterable[tuple[Source, list[ProjectId]]]:
        sources = {id(one): one for chain in self._chains.values() for one in chain}
        asked: dict[int, list[ProjectId]] = defaultdict(list)
        for project, known in self._files.items():
            for one in self._chains[project]:
                if one.name != known.judged_by:
                    asked[id(one)].append(project)
        return [(sources[key], projects) for key, projects in asked.items()]

    def _since(self, project: ProjectId, source: str) -> datetime:
        known = self._files[project]
        return max(known.began, known.compared_until.get(source, known.began))

    def _compare(self, wanted: Wanted, reading: Reading) -> None:
        known = self._files[wanted.project]
        end = min(known.until, reading.complete_until)
        # Of a busy site a sample may tell the last moments only: the same moments must be compared.
        start = max(wanted.since, min((one.start for one in reading.samples), default=end))
        if end - start < _COMPARED_MIN:
            return
        known.compared_until[reading.source] = end
        judged = tally(known.judged, start=start, end=end)
        disagreement = find_disagreement(judged, tally(reading.samples, start=start, end=end))
        if disagreement is None:
            known.findings.pop(reading.source, None)
            return
        deployment, one, two = disagreement
        sentence = (
            f"of {deployment} it counts {two.errors} of {two.requests} requests failed since "
            f"{start:%H:%M:%S} UTC, where {known.judged_by} counts {one.errors} of {one.requests}"
        )
        known.findings[reading.source] = SourceTrouble(reading.source, SignalReason.DISAGREEING, sentence)


def _several(chains: Mapping[ProjectId, Sequence[Source]]) -> dict[ProjectId, tuple[Source, ...]]:
    return {project: tuple(chain) for project, chain in chains.items() if len(chain) > 1}


def _doubts(file: _File, *, now_judged: str) -> dict[str, SourceTrouble]:
    """Return the disagreement with the source that is judged from now on, as one with the source judged before."""
    doubt = file.findings.get(now_judged)
    if doubt is None or doubt.reason is not SignalReason.DISAGREEING:
        return {}
    return {file.judged_by: doubt}

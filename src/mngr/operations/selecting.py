"""Chooses among listed agents: which, in what order, how many."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from mngr.models import AgentState, AgentView


@dataclass(frozen=True, slots=True)
class Selection:
    """Agents in one of `states` (any without one), with all `labels`, on a host of one of `hosts` (names or ids)."""

    states: Collection[AgentState] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    hosts: Collection[str] = ()


def choose(views: Sequence[AgentView], selection: Selection) -> list[AgentView]:
    """Those that are meant, in the order in which they stand."""
    return [view for view in views if _is_meant(view, selection)]


def _is_meant(view: AgentView, selection: Selection) -> bool:
    record = view.host.record
    return (
        (not selection.states or view.state in selection.states)
        and all(view.agent.labels.get(key) == value for key, value in selection.labels.items())
        and (not selection.hosts or record.name in selection.hosts or record.id in selection.hosts)
    )

"""Settings: what they are (`schema`), where they come from (`layers`), how a file of them is changed (`edit`)."""

from mngr.config.layers import load, of_repository, overrides
from mngr.config.schema import AgentTypeSettings, ModalSettings, Settings

__all__ = ["AgentTypeSettings", "ModalSettings", "Settings", "load", "of_repository", "overrides"]

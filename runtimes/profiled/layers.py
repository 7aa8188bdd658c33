"""What a runtime's own profiler tells of a layer, and the session that asks it."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

from runtimes.base import Session


@dataclass(frozen=True)
class LayerTime:
    """A layer as a runtime ran it. ms: of one run.

    operator: the runtime's own word for what it is. precision: what it computed in, empty where the runtime does not
    tell. nodes, tensors: of the ONNX graph, what it was made of and what it writes, as the runtime calls them: a name
    may have something of the runtime's own behind it. feeds: names of the layers that read what it writes, where the
    runtime tells.
    """

    name: str
    operator: str
    ms: float
    precision: str = ""
    nodes: tuple[str, ...] = ()
    tensors: tuple[str, ...] = ()
    feeds: tuple[str, ...] = ()


class ProfiledSession(Session):
    """A session whose runtime takes the time of each layer (`Runtime.profiled` opens it)."""

    def begin(self) -> None:
        """From here on runs count, for a runtime that does not tell each apart."""

    @abstractmethod
    def runs(self) -> list[list[LayerTime]]:
        """The layers of each run, in the order in which they ran, of which the last ones are those that count. One
        list, of the means over these, where the runtime tells no more. No run may follow."""

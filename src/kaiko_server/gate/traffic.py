"""Whether the server still takes requests, and how many it is answering."""

from dataclasses import dataclass


@dataclass(slots=True)
class Traffic:
    """Shared by the gate, which counts, and by whoever stops the server, who turns it away.

    Attributes
    ----------
    draining
        New requests get 503; those in flight go on.
    in_flight
        Requests that are being answered.
    """

    draining: bool = False
    in_flight: int = 0

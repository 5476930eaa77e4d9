"""Where programs spend their instructions: by line, by function, by packet, as a flame graph."""

from drybpf.profile.data import LineProfile, Profile
from drybpf.profile.flame import flame_graph
from drybpf.profile.recorder import Recorder

__all__ = ["LineProfile", "Profile", "Recorder", "flame_graph"]

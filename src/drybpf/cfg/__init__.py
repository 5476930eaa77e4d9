"""The control flow of a program as a picture: DOT, Mermaid, or SVG without another program."""

from drybpf.cfg.dot import dot
from drybpf.cfg.graph import Block, Edge, Graph, control_flow
from drybpf.cfg.mermaid import mermaid
from drybpf.cfg.svg import svg

__all__ = ["Block", "Edge", "Graph", "control_flow", "dot", "mermaid", "svg"]
